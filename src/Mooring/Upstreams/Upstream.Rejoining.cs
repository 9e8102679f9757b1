using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams.Http;

namespace Mooring.Upstreams;

/// <content>Links for a call that another process began.</content>
internal sealed partial class Upstream
{
    /// <summary>Between a server and the linking of an account.</summary>
    private const string OfLinking = ".";

    /// <summary>
    /// A link in the very session with the server in which a request was sent, for what comes of that request alone. Whoever has it gives it up with
    /// <see cref="Link.LeaveAsync"/>: the session may be in use elsewhere.
    /// </summary>
    /// <returns>Null where there can be none: the server is somewhere else by now.</returns>
    public Link? Rejoin(LinkParameters parameters, ILinkOwner owner, CallCursor place)
    {
        if (_isGone || place.Place != PlaceWith(parameters.Authorizer?.Linking) || Config.Transport != ServerTransport.Http || _http?.For(parameters.Authorizer) is not { } http
            || !ProtocolVersions.TryParseWithSessions(place.Version, out var version))
        {
            return null;
        }

        var link = new HttpLink(this, parameters, owner, http, _services.Time, _services.Logger) { IsForOneCall = true };
        link.Join(place.Session, version);
        return link;
    }

    /// <summary>Where a call is: the server, and where that is used with people's accounts, which linking of one. What is there belongs to no other.</summary>
    /// <param name="linking">Of its link; null: the server needs none.</param>
    public string PlaceWith(string? linking) => linking is null ? Place : Place + OfLinking + linking;

    /// <summary>Which linking of an account a call was sent with; null: with none, to another server, or a release before noted it.</summary>
    public string? LinkingAt(CallCursor place) => place.Place.StartsWith(Place + OfLinking, StringComparison.Ordinal) ? place.Place[(Place.Length + OfLinking.Length)..] : null;
}
