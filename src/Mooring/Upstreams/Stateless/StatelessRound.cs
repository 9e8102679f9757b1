using System.Net.Http.Headers;
using Mooring.Protocol;
using Mooring.Vault;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// A request once, as it goes to a server without sessions, with an id of its own: one that is sent again with the client's answers is another
/// request there. What comes before its answer belongs to whoever asked.
/// </summary>
/// <param name="link">Whose it is.</param>
/// <param name="asked">Who asked.</param>
/// <param name="said">The request as it would go to a server with sessions.</param>
/// <param name="level">The log level that is asked for, or null.</param>
/// <param name="more">Further params, raw properties; empty: none.</param>
internal class StatelessRound(StatelessLink link, PendingRequest asked, Message said, string? level, byte[] more) : StatelessRequest
{
    protected StatelessLink Link => link;

    protected PendingRequest Asked => asked;

    protected Message Said => said;

    public override CancellationToken Abandoned => asked.Abandoned;

    public override bool TimedOut => asked.TimedOut;

    public override Message ToMessage() => link.Write(said, Id, level, more);

    public override void Repeat(HttpContentHeaders headers) => link.Repeat(said, asked, headers);

    public override SubjectToken? Shown => asked.Shown;

    public override ReadOnlySpan<byte> ProgressToken => asked.ProgressToken;

    public override void OnRelated(Upstreams.Link _, Frame related)
    {
        if (related.Kind == FrameKind.Request)
        {
            link.RefuseStray(related);
            return;
        }

        asked.OnRelated(link, related);
    }

    public override void Sign() => asked.Sign();

    public override bool SharesLink => asked.SharesLink;

    public override Task ReadyAsync() => asked.ReadyAsync();

    public override void OnStreamed(bool isWhole) => asked.OnStreamed(isWhole);
}

/// <summary>The first time that a request is sent: its answer says whether there are more. As part of the sending, so that nothing more has to wait for that.</summary>
internal sealed class FirstRound(StatelessLink link, PendingRequest asked, Message said, string? level) : StatelessRound(link, asked, said, level, more: [])
{
    public override ValueTask<Attempt> EndAsync(Attempt attempt) => Link.JudgeAsync(Asked, Said, attempt);
}
