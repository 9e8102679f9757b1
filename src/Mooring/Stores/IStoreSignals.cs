using System.Text;

namespace Mooring.Stores;

/// <summary>
/// Wakes replicas up: something of this kind, with this id, waits in the store. A signal carries nothing else and may be lost, doubled or
/// merged with its like, so whoever listens also looks of its own accord now and then, and whenever the connection was lost.
/// </summary>
internal interface IStoreSignals : IAsyncDisposable
{
    /// <summary>Longest kind and id together, as UTF-8 (PostgreSQL allows 8,000 bytes).</summary>
    public const int Longest = 7900;

    /// <summary>Signals to a replica. Completes when the signal was handed over or given up; never fails because the store does.</summary>
    /// <param name="replica">Who is to be woken.</param>
    /// <param name="kind">One word, without a space.</param>
    /// <param name="id">Of what waits.</param>
    Task PublishAsync(string replica, string kind, string id);

    /// <summary>Listens for what is signalled to a replica, until disposed. Returns at once; <see cref="SignalListener.CaughtUp"/> says when it hears.</summary>
    IAsyncDisposable Listen(string replica, SignalListener listener);

    /// <summary>Refuses what does not fit into one signal.</summary>
    static void Check(string kind, string id)
    {
        if (kind.Length == 0 || kind.Contains(' ', StringComparison.Ordinal))
        {
            throw new ArgumentException("A signal's kind is one word.", nameof(kind));
        }

        if (Encoding.UTF8.GetByteCount(kind) + Encoding.UTF8.GetByteCount(id) > Longest)
        {
            throw new ArgumentException($"A signal holds at most {Longest} bytes.", nameof(id));
        }
    }
}

/// <summary>What a listener wants to hear. Called one after the other; must return quickly and throw nothing.</summary>
/// <param name="Signal">Of a kind and an id.</param>
/// <param name="CaughtUp">It hears from now on; what was signalled before may have been missed, so look.</param>
/// <param name="Lost">It hears nothing until <paramref name="CaughtUp"/> comes again; look more often meanwhile.</param>
internal sealed record SignalListener(Action<string, string> Signal, Action CaughtUp, Action Lost);
