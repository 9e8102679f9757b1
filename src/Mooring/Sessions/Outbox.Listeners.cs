namespace Mooring.Sessions;

/// <content>Clients without sessions listen by requests of theirs, any number at once, each to all of it; what nobody listens to is nobody's.</content>
internal sealed partial class Outbox
{
    private Listener[]? _listeners;

    private bool HasListeners => Listening.Length > 0;

    private Listener[] Listening => Volatile.Read(ref _listeners) ?? [];

    public void Add(Listener listener)
    {
        lock (_gate)
        {
            _listeners = [.. Listening, listener];
        }
    }

    public void Remove(Listener listener)
    {
        lock (_gate)
        {
            _listeners = [.. Listening.Where(l => !ReferenceEquals(l, listener))];
        }
    }

    private void TellListeners(byte[] line)
    {
        foreach (var listener in Listening)
        {
            listener.Hear(line);
        }
    }
}
