using Mooring.Stores;

namespace Mooring.Replicas;

/// <content>
/// Letters in the mailbox of a replica that a client has left for this one. It may be dead: nobody takes it over before its lease is over, and what was sent to
/// the client there lies in its mailbox, while the client is here. It is read there then, and left for whoever takes over: what comes a second time is known by
/// its name.
/// </content>
internal sealed partial class Peers
{
    /// <summary>One that lives has read a letter long before.</summary>
    private static readonly TimeSpan LiesAfter = TimeSpan.FromMilliseconds(250);

    /// <summary>So many looks that find nothing lying there: by then everybody knows where the client is.</summary>
    private const int LooksForNothing = 12;

    /// <summary>By then it was taken over, or it lives and the letter is kept there for a reason.</summary>
    private const int MostLooks = 80;

    private const int MostStranded = 200;

    private readonly Dictionary<string, Func<Letter, bool>> _mayRead = new(StringComparer.Ordinal);

    /// <summary>Those that are looked into now. Its own lock.</summary>
    private readonly Dictionary<string, Suspicion> _suspects = new(StringComparer.Ordinal);

    /// <summary>
    /// Says which letters of a kind may be read in the mailbox of another replica where they lie, since what they are for is here; the kind's reader gets them, and must
    /// know by its name what it got before. Before <see cref="Start"/>.
    /// </summary>
    public void OnStranded(string kind, Func<Letter, bool> mayRead) => _mayRead.Add(kind, mayRead);

    /// <summary>A client that this replica had has come here.</summary>
    public void Suspect(string replica)
    {
        if (!IsShared || replica == _name || !IsAlive(replica))
        {
            return;
        }

        lock (_suspects)
        {
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            if (_suspects.TryGetValue(replica, out var known))
            {
                (known.Looks, known.InVain) = (0, 0);
                return;
            }

            var suspicion = _suspects[replica] = new Suspicion();
            suspicion.Work = Task.Run(() => LookIntoAsync(replica, suspicion));
        }
    }

    private async Task LookIntoAsync(string replica, Suspicion suspicion)
    {
        HashSet<long> before = [], read = [];
        while (IsGoingOn(replica, suspicion))
        {
            try
            {
                await Task.Delay(LiesAfter, time, _stopping.Token);
                var mails = await replicas.ReadMailboxAsync(replica, 0, MostStranded, _stopping.Token);
                var lying = mails.Where(mail => before.Contains(mail.Sequence)).ToList();
                lock (_suspects)
                {
                    suspicion.InVain = lying.Count == 0 ? suspicion.InVain + 1 : 0;
                }

                foreach (var mail in lying.Where(mail => !read.Contains(mail.Sequence)))
                {
                    if (_mayRead.TryGetValue(mail.Kind, out var mayRead) && Letter.TryParse(mail.Body, out var letter) && mayRead(letter))
                    {
                        read.Add(mail.Sequence);
                        await ReadAsync(mail, mayBeReadBefore: true);
                    }
                }

                before = [.. mails.Select(mail => mail.Sequence)];
            }
            catch (StoreException e)
            {
                // Whoever takes over finds all of it.
                Complain(e);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                // This one ends.
            }
            catch (Exception e)
            {
                Log.MailFailed(logger, e);
            }
        }
    }

    /// <summary>Ended under the lock: a client that comes just then is the first of the next looks, or has these go on.</summary>
    private bool IsGoingOn(string replica, Suspicion suspicion)
    {
        lock (_suspects)
        {
            if (suspicion.Looks++ < MostLooks && suspicion.InVain < LooksForNothing && IsAlive(replica) && !_stopping.IsCancellationRequested)
            {
                return true;
            }

            _suspects.Remove(replica);
            return false;
        }
    }

    /// <summary>Nothing is looked into any more; this process ends.</summary>
    private Task EndLooksAsync()
    {
        lock (_suspects)
        {
            return Task.WhenAll(_suspects.Values.Select(suspicion => suspicion.Work));
        }
    }

    private sealed class Suspicion
    {
        public Task Work { get; set; } = Task.CompletedTask;

        /// <summary>Since a client came last.</summary>
        public int Looks { get; set; }

        /// <summary>Looks one after the other that found nothing lying there.</summary>
        public int InVain { get; set; }
    }
}
