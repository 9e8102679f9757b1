using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <summary>
/// What an <see cref="Outbox"/> was given before, where the same may come to it twice: a letter from a mailbox that was taken over, an event of a server that two
/// replicas heard, a change of a list that is both news and told on a link. Used under the lock of the outbox alone.
/// </summary>
internal sealed class RepeatedMessages(TimeProvider time)
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

    /// <summary>Whether a letter came before and is here still, or went on from here and this is one of before that. From now on it is here.</summary>
    /// <param name="passed">The letter.</param>
    /// <param name="kept">Completes when it was kept that time.</param>
    public bool CameBefore(PassedMessage passed, out Task kept)
    {
        var at = _mayComeAgain?.FindIndex(letter => letter.Name == passed.Name) ?? -1;
        if (at >= 0 && (_mayComeAgain![at].Left is not { } left || passed.Hops < left))
        {
            kept = _mayComeAgain[at].Kept;
            return true;
        }

        kept = passed.Kept;
        IsHere(passed);
        return false;
    }

    /// <summary>From now on it is here: whichever letter of that name comes is one of before.</summary>
    public void IsHere(PassedMessage passed)
    {
        _mayComeAgain ??= [];
        var at = _mayComeAgain.FindIndex(letter => letter.Name == passed.Name);
        if (at >= 0 || _mayComeAgain.Count == MostNames)
        {
            _mayComeAgain.RemoveAt(Math.Max(at, 0));
        }

        _mayComeAgain.Add(new Remembered(passed.Name, Left: null, passed.Kept));
    }

    /// <summary>Whether an event of a server came before, by letter or on a link of this process, and is here still. From now on it has.</summary>
    public bool WasHeard(EventOrigin origin)
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

    /// <summary>It is in another mailbox now, and may come back: from there, where that one's replica dies, or passed on once more.</summary>
    /// <param name="name">Of the letter.</param>
    /// <param name="hops">How many replicas had passed it on before.</param>
    /// <param name="origin">The server's event that the message was made of.</param>
    public void Went(string? name, int hops, EventOrigin? origin)
    {
        var at = _mayComeAgain?.FindIndex(letter => letter.Name == name) ?? -1;
        if (at >= 0)
        {
            _mayComeAgain![at] = _mayComeAgain[at] with { Left = hops + 1 };
        }

        if (origin is { } heard)
        {
            _heard?.Remove(KeyOf(heard));
        }
    }

    /// <summary>
    /// Whether a change of a list was told already. It comes to the replica that has the stream by two ways: as news of the catalogue, and by letter from the replica whose
    /// link of the session heard it. Whichever comes second is not told again. What can come one way only is not counted: another change would
    /// be taken for it.
    /// </summary>
    /// <param name="server">Whose list.</param>
    /// <param name="method">Of the notification.</param>
    /// <param name="byLetter">By which of the two ways it comes now.</param>
    public bool IsTold(string server, string method, bool byLetter)
    {
        var now = time.GetTimestamp();
        var key = (server, method);
        var (balance, at) = (_told ??= []).GetValueOrDefault(key);
        if (time.GetElapsedTime(at, now) > BothWaysWithin)
        {
            balance = 0;
        }

        var isSecond = byLetter ? balance < 0 : balance > 0;
        _told[key] = (balance + (byLetter ? 1 : -1), now);
        return isSecond;
    }

    private static (string Server, string UpstreamSession, string EventId) KeyOf(EventOrigin origin) => (origin.Server, origin.UpstreamSessionId, origin.EventId);

    /// <param name="Name">Of a letter.</param>
    /// <param name="Left">How often it had been passed on when it went on from here; null: it is here.</param>
    /// <param name="Kept">Completes when it was kept here.</param>
    private readonly record struct Remembered(string Name, int? Left, Task Kept);
}
