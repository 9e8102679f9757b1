using System.Net.Http.Headers;

namespace Mooring.Upstreams.Stateless;

/// <summary>One request as it goes to a server without sessions. Over HTTP, some of what it says stands in headers too.</summary>
internal abstract class StatelessRequest : PendingRequest
{
    /// <summary>Adds those headers (2026-07-28, basic/transports/streamable-http, "Standard Request Headers").</summary>
    public abstract void Repeat(HttpContentHeaders headers);

    /// <summary>What comes of how it ended, once its response is let go of. Whoever sent it gives that as the end.</summary>
    public virtual ValueTask<Attempt> EndAsync(Attempt attempt) => new(attempt);
}
