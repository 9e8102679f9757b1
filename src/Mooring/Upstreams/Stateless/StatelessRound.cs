using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// A request once, as it goes to a server without sessions, with an id of its own: one that is sent again with the client's answers is another
/// request there. What comes before its answer belongs to whoever asked.
/// </summary>
internal sealed class StatelessRound(StatelessLink link, PendingRequest asked, Func<long, Message> write, IReadOnlyList<KeyValuePair<string, string>> headers) : PendingRequest
{
    public override CancellationToken Abandoned => asked.Abandoned;

    public override bool TimedOut => asked.TimedOut;

    public override Message ToMessage() => write(Id);

    public override IReadOnlyList<KeyValuePair<string, string>> Headers => headers;

    public override ReadOnlySpan<byte> ProgressToken => asked.ProgressToken;

    public override void OnRelated(Link _, Frame frame)
    {
        if (frame.Kind == FrameKind.Request)
        {
            link.RefuseStray(frame);
            return;
        }

        asked.OnRelated(link, frame);
    }

    public override Task ReadyAsync() => asked.ReadyAsync();

    public override void OnStreamed(bool isWhole) => asked.OnStreamed(isWhole);
}
