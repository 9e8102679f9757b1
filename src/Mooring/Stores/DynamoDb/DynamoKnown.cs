using System.Collections.Concurrent;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// Sessions and streams that this process has seen, so that an append need not ask for them. One that was deleted elsewhere meanwhile may get a
/// row more; that lies where nobody looks, and expires.
/// </summary>
internal sealed class DynamoKnown
{
    /// <summary>Then all are asked for again: a few reads more.</summary>
    private const int Most = 20_000;

    private readonly ConcurrentDictionary<string, Known> _sessions = new(StringComparer.Ordinal);

    public string? IncarnationOf(string session) => _sessions.TryGetValue(session, out var known) ? known.Incarnation : null;

    public void Add(string session, string incarnation)
    {
        if (_sessions.Count >= Most)
        {
            _sessions.Clear();
        }

        _sessions.AddOrUpdate(session, _ => new Known(incarnation), (_, known) => known.Incarnation == incarnation ? known : new Known(incarnation));
    }

    public bool HasStream(string session, string stream) => _sessions.TryGetValue(session, out var known) && known.Streams.ContainsKey(stream);

    public void AddStream(string session, string stream)
    {
        if (_sessions.TryGetValue(session, out var known))
        {
            if (known.Streams.Count >= Most)
            {
                known.Streams.Clear();
            }

            known.Streams[stream] = true;
        }
    }

    public void ForgetStream(string session, string stream)
    {
        if (_sessions.TryGetValue(session, out var known))
        {
            known.Streams.TryRemove(stream, out _);
        }
    }

    /// <summary>The last event that this process saw through to the end, of one server of a session.</summary>
    public string? SettledOf(string session, string server) =>
        _sessions.TryGetValue(session, out var known) ? known.Settled.GetValueOrDefault(server) : null;

    public void Settle(string session, string server, string token)
    {
        if (_sessions.TryGetValue(session, out var known))
        {
            known.Settled[server] = token;
        }
    }

    public void Forget(string session) => _sessions.TryRemove(session, out _);

    private sealed record Known(string Incarnation)
    {
        public ConcurrentDictionary<string, bool> Streams { get; } = new(StringComparer.Ordinal);

        public ConcurrentDictionary<string, string> Settled { get; } = new(StringComparer.Ordinal);
    }
}
