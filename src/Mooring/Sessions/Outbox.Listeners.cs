using Mooring.Protocol;
using Mooring.Routing;

namespace Mooring.Sessions;

/// <content>
/// Clients without sessions listen by requests of theirs, any number at once, each to all of it; of what nobody listens to, the changes of lists are told to
/// those who come back.
/// </content>
internal sealed partial class Outbox
{
    private Listener[]? _listeners;
    private MissedChanges? _missed;

    private bool HasListeners => Listening.Length > 0;

    private Listener[] Listening => Volatile.Read(ref _listeners) ?? [];

    /// <summary>From now on it hears all.</summary>
    /// <returns>Lists that it wants to hear of and that changed while it did not listen; null: nothing is known of it here.</returns>
    public IReadOnlySet<ListKind>? Add(Listener listener)
    {
        lock (_gate)
        {
            _listeners = [.. Listening, listener];
            return _missed?.Came(listener.Kinds);
        }
    }

    public void Remove(Listener listener)
    {
        lock (_gate)
        {
            _listeners = [.. Listening.Where(l => !ReferenceEquals(l, listener))];
            (_missed ??= new MissedChanges(services.Time)).Left(listener.Kinds);
        }
    }

    private void TellListeners(byte[] line)
    {
        Listener[] listeners;
        lock (_gate)
        {
            // Either it is noted before one comes, or that one hears it.
            listeners = Listening;
            if (_missed is { HasAny: true } missed && Frame.Parse(line) is { Kind: FrameKind.Notification } frame && ListKinds.Of(frame.Method) is { } kind)
            {
                missed.Changed(kind);
            }
        }

        foreach (var listener in listeners)
        {
            listener.Hear(line);
        }
    }
}
