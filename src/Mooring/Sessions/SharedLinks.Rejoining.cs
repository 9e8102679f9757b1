using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links for calls that another process began.</content>
internal sealed partial class SharedLinks
{
    /// <inheritdoc cref="Upstream.Rejoin"/>
    public Link? Rejoin(Upstream upstream, CallCursor place) => upstream.Rejoin(ParametersFor(upstream), this, place);
}
