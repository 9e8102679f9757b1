using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>What other replicas passed on to the one that has the session's newest stream.</content>
internal sealed partial class Outbox
{
    /// <summary>How far apart the two ways are at most; later it is another change.</summary>
    private static readonly TimeSpan BothWaysWithin = TimeSpan.FromSeconds(5);

    /// <summary>So many letters of one session are remembered. In the seconds until a dead replica is taken over hardly more come.</summary>
    private const int MostNames = 512;

    /// <summary>By server and list: changes told by letter less those told as news, and when the last one was.</summary>
    private Dictionary<(string Server, string Method), (int Balance, long At)>? _told;

    /// <summary>
    /// Letters that may come again, the newest last: read in the mailbox of a replica that may be dead, they are passed on once more by whoever takes that one over.
    /// A log knows its own, but by then the newest stream may be another one, or one without a log.
    /// </summary>
    private List<Remembered>? _mayComeAgain;

    /// <summary>
    /// Events of servers that went to a stream without a log, the newest last: two replicas hear a server where one was cut off, and whoever listens next hears again what the other passed on.
    /// A log knows its own.
    /// </summary>
    private List<(string Server, string UpstreamSession, string EventId)>? _heard;

    /// <summary>Takes a line that another replica passed on.</summary>
    /// <param name="line">The message.</param>
    /// <param name="subject">The letter's.</param>
    /// <param name="name">The letter's.</param>
    /// <returns>Completes when it is in a log, or on its way elsewhere.</returns>
    public Task Take(byte[] line, string subject, LetterName name)
    {
        var (hops, origin, server) = ParseSubject(subject);
        var isAnswer = session.IsLegacySse && Frame.Parse(line).Kind is FrameKind.Result or FrameKind.Error;
        var passed = new PassedMessage(name.Value.Split(HopMark)[0], name.MayBeReadBefore) { Hops = hops, IsAnswer = isAnswer };
        var changed = ChangedBy(line);
        if (changed is { } list)
        {
            // Before it is told: a client that asks at once is shown the new list.
            session.Lists.Doubt(list);
        }

        lock (_gate)
        {
            if (HolderLocked is not null)
            {
                _backlog.AddLast(new Waiting(line, hops, origin, server, passed.Name, passed));
                _backlogBytes += line.Length;
                if (hops < MostHops)
                {
                    FlushLocked();
                }
                else
                {
                    // The replicas do not agree who has the stream; it waits for the next look, and the record is read until then.
                    session.Doubt();
                }

                return passed.Kept;
            }

            // Of a stream without a log also what was written to this replica: should it be taken for dead before the letter is off its mailbox, that comes again.
            if ((name.MayBeReadBefore || session.IsLegacySse) && CameBeforeLocked(passed, out var kept))
            {
                return kept;
            }

            if (changed is { } told && server is not null && IsToldLocked(server, told.Changed(), byLetter: true))
            {
                return Task.CompletedTask;
            }

            SendLocked(line, origin, passed: passed);
            return passed.Kept;
        }
    }

    /// <summary>Whether a letter came before and is here still, or went on from here and this is one of before that. From now on it is here.</summary>
    /// <param name="passed">The letter.</param>
    /// <param name="kept">Completes when it was kept that time.</param>
    private bool CameBeforeLocked(PassedMessage passed, out Task kept)
    {
        var at = _mayComeAgain?.FindIndex(letter => letter.Name == passed.Name) ?? -1;
        if (at >= 0 && (_mayComeAgain![at].Left is not { } left || passed.Hops < left))
        {
            kept = _mayComeAgain[at].Kept;
            return true;
        }

        kept = passed.Kept;
        IsHereLocked(passed);
        return false;
    }

    /// <summary>From now on it is here: whichever letter of that name comes is one of before.</summary>
    private void IsHereLocked(PassedMessage passed)
    {
        _mayComeAgain ??= [];
        var at = _mayComeAgain.FindIndex(letter => letter.Name == passed.Name);
        if (at >= 0 || _mayComeAgain.Count == MostNames)
        {
            _mayComeAgain.RemoveAt(Math.Max(at, 0));
        }

        _mayComeAgain.Add(new Remembered(passed.Name, Left: null, passed.Kept));
    }

    /// <summary>What waited to go elsewhere is said here. A mailbox may have it all the same, and who reads it there passes it on to where the stream is.</summary>
    /// <returns>What it is known by in the log; null: nobody else has it.</returns>
    private PassedMessage? IsHereLocked(Waiting waiting)
    {
        if (waiting is { IsUnsure: false, Hops: 0 })
        {
            return waiting.Passed;
        }

        var passed = waiting.Passed ?? new PassedMessage(waiting.Name!, mayBeThere: true);
        if (waiting.IsUnsure)
        {
            // As if it had been there and come back: should it go there once more, that is another letter, and the one that comes back one of before.
            (passed.Hops, passed.MayBeThere) = (waiting.Hops + 2, true);
        }

        IsHereLocked(passed);
        return passed;
    }

    /// <summary>Whether an event of a server came before, by letter or on a link of this process, and is here still. From now on it has.</summary>
    private bool WasHeardLocked(EventOrigin origin)
    {
        var key = KeyOf(origin);
        if ((_heard ??= []).Contains(key))
        {
            return true;
        }

        if (_heard.Count == MostNames)
        {
            _heard.RemoveAt(0);
        }

        _heard.Add(key);
        return false;
    }

    private static (string Server, string UpstreamSession, string EventId) KeyOf(EventOrigin origin) => (origin.Server, origin.UpstreamSessionId, origin.EventId);

    /// <summary>It is in another mailbox now, and may come back: from there, where that one's replica dies, or passed on once more.</summary>
    private void WentLocked(Waiting waiting)
    {
        var at = _mayComeAgain?.FindIndex(letter => letter.Name == waiting.Name) ?? -1;
        if (at >= 0)
        {
            _mayComeAgain![at] = _mayComeAgain[at] with { Left = waiting.Hops + 1 };
        }

        if (waiting.Origin is { } origin)
        {
            _heard?.Remove(KeyOf(origin));
        }
    }

    /// <summary>Which list a message says is another one now; null: it says something else.</summary>
    private static ListKind? ChangedBy(byte[] line) =>
        line.AsSpan().IndexOf("/list_changed\""u8) >= 0 && Frame.Parse(line) is { Kind: FrameKind.Notification } frame ? ListKinds.Of(frame.Method) : null;

    /// <summary>
    /// A change of a list comes to the replica that has the stream by two ways: as news of the catalogue, and by letter from the replica whose
    /// link of the session heard it. Whichever comes second is not told again. What can come one way only is not counted: another change would
    /// be taken for it.
    /// </summary>
    private bool IsToldLocked(string server, string method, bool byLetter)
    {
        var now = services.Time.GetTimestamp();
        var key = (server, method);
        var (balance, at) = (_told ??= []).GetValueOrDefault(key);
        if (services.Time.GetElapsedTime(at, now) > BothWaysWithin)
        {
            balance = 0;
        }

        var isSecond = byLetter ? balance < 0 : balance > 0;
        _told[key] = (balance + (byLetter ? 1 : -1), now);
        return isSecond;
    }

    /// <param name="Name">Of a letter.</param>
    /// <param name="Left">How often it had been passed on when it went on from here; null: it is here.</param>
    /// <param name="Kept">Completes when it was kept here.</param>
    private readonly record struct Remembered(string Name, int? Left, Task Kept);
}
