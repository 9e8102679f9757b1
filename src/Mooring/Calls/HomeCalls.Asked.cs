using System.Collections.Concurrent;
using System.Text;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>
/// The requests themselves, from when they are asked until they are answered, run here, or cancelled. While one waits here, for its home to be
/// known or to be alive or not, no list of calls has it: its client's cancellation finds it here.
/// </content>
internal sealed partial class HomeCalls
{
    private readonly ConcurrentDictionary<(string Session, string Id), Asked> _asked = new();

    /// <summary>The client cancelled a request. One that nobody runs yet ends, and is run nowhere; one that its home may have is passed on to no other.</summary>
    /// <param name="session">Whose request it is.</param>
    /// <param name="id">The client's id, a raw JSON token.</param>
    /// <returns>Whether it ended here; else whoever runs it has to hear of it.</returns>
    public bool Cancel(Session session, ReadOnlySpan<byte> id)
    {
        if (!_asked.TryGetValue(KeyOf(session, id), out var asked) || asked.TryCancel() is not (true, var waiting))
        {
            return false;
        }

        Forget(asked);
        asked.Reply.Abandon(asked.Id);
        waiting?.Ended.Cancel();
        return true;
    }

    /// <summary>The replica that may have a request, and be running it; null: none.</summary>
    /// <inheritdoc cref="Cancel"/>
    public string? HomeOf(Session session, ReadOnlySpan<byte> id) => _asked.TryGetValue(KeyOf(session, id), out var asked) ? asked.PostedTo : null;

    private static (string Session, string Id) KeyOf(Session session, ReadOnlySpan<byte> id) => (session.Id, Encoding.UTF8.GetString(id));

    /// <summary>Runs it in this process, unless it was cancelled. From here on a cancellation finds it among the session's calls.</summary>
    private void RunHere(Asked asked)
    {
        if (asked.TryRunHere())
        {
            Forget(asked);
        }
    }

    /// <summary>Its home does not run it; whether it is to be run at another.</summary>
    private bool IsStillWanted(Asked asked)
    {
        if (asked.TryTakeBack())
        {
            return true;
        }

        Drop(asked);
        return false;
    }

    private void Answer(Asked asked, byte[] response)
    {
        if (TryEnd(asked))
        {
            asked.Reply.Complete(asked.Id, response);
        }
    }

    /// <summary>There is no answer: its client cancelled it.</summary>
    private void Drop(Asked asked)
    {
        if (TryEnd(asked))
        {
            asked.Reply.Abandon(asked.Id);
        }
    }

    /// <summary>True once for each, for whoever answers it.</summary>
    private bool TryEnd(Asked asked)
    {
        Forget(asked);
        return asked.TryEnd();
    }

    private void Forget(Asked asked) => _asked.TryRemove(KeyValuePair.Create(asked.Key, asked));

    /// <summary>One request. What it is at is looked at and changed in one step: a cancellation may come at any time.</summary>
    /// <param name="key">Its session and id.</param>
    /// <param name="id">The client's id, a raw JSON token.</param>
    /// <param name="body">The request as the client sent it.</param>
    /// <param name="reply">Where the answer goes.</param>
    /// <param name="here">Runs it in this process.</param>
    /// <param name="began">A timestamp.</param>
    private sealed class Asked((string Session, string Id) key, byte[] id, byte[] body, Reply reply, Action here, long began)
    {
        private readonly Lock _gate = new();
        private Passed? _passed;
        private bool _isCancelled;
        private bool _isOver;

        public (string Session, string Id) Key => key;

        public byte[] Id => id;

        public byte[] Body => body;

        public Reply Reply => reply;

        public long Began => began;

        /// <summary>Who may have it; null: nobody but this process.</summary>
        public string? PostedTo
        {
            get
            {
                lock (_gate)
                {
                    return _passed is { IsPosted: true } passed ? passed.Home : null;
                }
            }
        }

        /// <summary>Notes what it waits for; false where it was cancelled.</summary>
        public bool WaitsFor(Passed passed)
        {
            lock (_gate)
            {
                _passed = passed;
                return !_isCancelled;
            }
        }

        /// <summary>From here on its home may have it; false where it was cancelled.</summary>
        public bool TryPost()
        {
            lock (_gate)
            {
                if (_isCancelled || _isOver)
                {
                    return false;
                }

                _passed!.IsPosted = true;
                return true;
            }
        }

        /// <summary>Its home was certainly not given it, by this try.</summary>
        public void WasNotPosted()
        {
            lock (_gate)
            {
                if (_passed is { IsUnsure: false } passed)
                {
                    passed.IsPosted = false;
                }
            }
        }

        /// <summary>Its home does not have it after all, or does not run it; false where it was cancelled meanwhile.</summary>
        public bool TryTakeBack()
        {
            lock (_gate)
            {
                _passed = null;
                return !_isCancelled;
            }
        }

        /// <summary>Runs it, unless it was cancelled: whoever cancels it finds it either here or among the calls of its session.</summary>
        public bool TryRunHere()
        {
            lock (_gate)
            {
                if (_isCancelled || _isOver)
                {
                    return false;
                }

                _isOver = true;
                here();
                return true;
            }
        }

        /// <returns>Whether that ended it, since nobody runs it yet, and what it waited for.</returns>
        public (bool HasEnded, Passed? Waiting) TryCancel()
        {
            lock (_gate)
            {
                _isCancelled = true;
                return _isOver || _passed is { IsPosted: true } ? (false, null) : (_isOver = true, _passed);
            }
        }

        public bool TryEnd()
        {
            lock (_gate)
            {
                return !_isOver && (_isOver = true);
            }
        }
    }

    /// <param name="Session">Whose request.</param>
    /// <param name="Upstream">Its server.</param>
    /// <param name="Request">The request.</param>
    /// <param name="Home">Who runs it.</param>
    /// <param name="Asked">The name this replica had; answers go to that.</param>
    /// <param name="Deadline">How long its server may be silent.</param>
    /// <param name="Began">A timestamp.</param>
    private sealed record Passed(Session Session, Upstream Upstream, Asked Request, string Home, string Asked, TimeSpan Deadline, long Began) : PassedWork
    {
        private volatile bool _isPosted;
        private volatile bool _isUnsure;

        /// <summary>When the home last said something of it; a timestamp.</summary>
        public long Heard { get; set; } = Began;

        /// <summary>Whether the home may have it.</summary>
        public bool IsPosted { get => _isPosted; set => _isPosted = value; }

        /// <summary>Whether a try to post it failed, and may have been one that was taken.</summary>
        public bool IsUnsure { get => _isUnsure; set => _isUnsure = value; }
    }
}
