using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <content>What other replicas passed on to the one that has the session's newest stream.</content>
internal sealed partial class Outbox
{
    private RepeatedMessages? _known;

    /// <summary>What came before. Under the lock.</summary>
    private RepeatedMessages Known => _known ??= new RepeatedMessages(services.Time);

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
            if ((name.MayBeReadBefore || session.IsLegacySse) && Known.CameBefore(passed, out var kept))
            {
                return kept;
            }

            if (changed is { } told && server is not null && Known.IsTold(server, told.Changed(), byLetter: true))
            {
                return Task.CompletedTask;
            }

            SendLocked(line, origin, passed: passed);
            return passed.Kept;
        }
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

        Known.IsHere(passed);
        return passed;
    }

    /// <summary>Which list a message says is another one now; null: it says something else.</summary>
    private static ListKind? ChangedBy(byte[] line) =>
        line.AsSpan().IndexOf("/list_changed\""u8) >= 0 && Frame.Parse(line) is { Kind: FrameKind.Notification } frame ? ListKinds.Of(frame.Method) : null;
}
