namespace Mooring.Chaos.Servers;

/// <summary>
/// One session of the web server: its notifications, numbered, kept for whoever comes back with <c>Last-Event-ID</c>. Any thread may add;
/// the newest reader alone is served.
/// </summary>
internal sealed class WebSession
{
    /// <summary>More than a round ever sends to one session.</summary>
    private const int Kept = 5000;

    private readonly Lock _gate = new();
    private readonly List<(long Id, string Text)> _events = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _lastId;
    private long _sent;
    private int _reader;

    public void Add(string text)
    {
        lock (_gate)
        {
            _events.Add((++_lastId, text));
            if (_events.Count > Kept)
            {
                _events.RemoveAt(0);
            }

            Wake();
        }
    }

    /// <summary>Begins to read, after the given event or after the last one that was ever sent; ends an older reader.</summary>
    public (int Reader, long After) Begin(string? lastEventId)
    {
        lock (_gate)
        {
            Wake();
            return (++_reader, long.TryParse(lastEventId, out var after) ? after : _sent);
        }
    }

    /// <summary>What came after the given event; waits for the next where there is none.</summary>
    /// <returns>Null for a reader that was replaced.</returns>
    public async Task<List<(long Id, string Text)>?> ReadAsync(int reader, long after, CancellationToken cancel)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (reader != _reader)
                {
                    return null;
                }

                var events = _events.FindAll(entry => entry.Id > after);
                if (events.Count > 0)
                {
                    return events;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancel);
        }
    }

    public void Sent(long id)
    {
        lock (_gate)
        {
            _sent = Math.Max(_sent, id);
        }
    }

    private void Wake()
    {
        _changed.TrySetResult();
        _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
