namespace Mooring.Chaos.Servers;

/// <summary>
/// One session of the web server: its notifications, numbered, kept for whoever comes back with <c>Last-Event-ID</c>. Any thread may add;
/// one reader at a time is served, as the official servers do it.
/// </summary>
/// <param name="id">Of the session.</param>
/// <param name="ledger">Where it is written down what it owes.</param>
internal sealed class WebSession(string id, Ledger ledger)
{
    private const string Numbered = "notifications/message";

    /// <summary>More than a round ever sends to one session.</summary>
    private const int Kept = 5000;

    private readonly Lock _gate = new();
    private readonly List<(long Id, string Text)> _events = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _lastId;
    private long _sent;
    private bool _isRead, _isClosed;

    /// <summary>One more notification.</summary>
    /// <returns>False when the session is over and nobody reads what is left of it: a call that was under way then says what nobody hears.</returns>
    public bool Add(string text)
    {
        lock (_gate)
        {
            if (_isClosed && !_isRead)
            {
                return false;
            }

            _lastId++;
            if (text.Contains(Numbered, StringComparison.Ordinal))
            {
                ledger.Write(Notices.Accepted(id, _lastId));
            }

            _events.Add((_lastId, text));
            if (_events.Count > Kept)
            {
                _events.RemoveAt(0);
            }

            Wake();
            return true;
        }
    }

    /// <summary>Begins to read, after the given event or after the last one that was ever sent.</summary>
    /// <returns>Null while another one reads.</returns>
    public long? Begin(string? lastEventId)
    {
        lock (_gate)
        {
            if (_isRead)
            {
                return null;
            }

            _isRead = true;
            return long.TryParse(lastEventId, out var after) ? after : _sent;
        }
    }

    /// <summary>The reader has gone.</summary>
    /// <returns>How many numbered notifications of a session that is over it did not take.</returns>
    public int End()
    {
        lock (_gate)
        {
            _isRead = false;
            return _isClosed ? Unsent : 0;
        }
    }

    /// <summary>The session is over, and so is whoever reads.</summary>
    /// <returns>How many numbered notifications go with it, since nobody reads them just now; that a list changed is found out anyway.</returns>
    public int Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            Wake();
            return _isRead ? 0 : Unsent;
        }
    }

    private int Unsent => _events.Count(entry => entry.Id > _sent && entry.Text.Contains(Numbered, StringComparison.Ordinal));

    /// <summary>What came after the given event; waits for the next where there is none.</summary>
    /// <returns>Null when the session is over.</returns>
    public async Task<List<(long Id, string Text)>?> ReadAsync(long after, CancellationToken cancel)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                // Whoever reads gets what there is, also when the session is over.
                var events = _events.FindAll(entry => entry.Id > after);
                if (events.Count > 0)
                {
                    return events;
                }

                if (_isClosed)
                {
                    // What comes from now on, nobody reads.
                    _isRead = false;
                    return null;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancel);
        }
    }

    /// <summary>All up to this event are out.</summary>
    public void Sent(long upTo)
    {
        lock (_gate)
        {
            if (upTo > _sent)
            {
                _sent = upTo;
                ledger.Write(Notices.SettledTo(id, upTo));
            }
        }
    }

    /// <summary>The gateway wants no more of it.</summary>
    public void Discard()
    {
        Close();
        Sent(long.MaxValue);
    }

    private void Wake()
    {
        _changed.TrySetResult();
        _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
