using System.Net;
using System.Net.Http.Headers;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Upstreams;

/// <summary>
/// Puts one person's token on requests to one server; without a person, none. The client's own token never comes here. One for all of a session's
/// links to the server, so that what was found missing is known when the next one is opened.
/// </summary>
/// <param name="server">Its name.</param>
/// <param name="config">What the configuration says of it.</param>
/// <param name="person">Whose token; null: nobody's.</param>
/// <param name="tokens">Where they come from; null without a person.</param>
/// <param name="shown">What was last shown in the session, for what its links ask of their own accord.</param>
/// <param name="name">What the person was called then, where he is shown.</param>
/// <param name="links">Makes the address at which the person links an account.</param>
internal sealed class LinkAuthorizer(string server, ServerAuthConfig config, CredentialKey? person, IPersonTokens? tokens, Func<SubjectToken?> shown, Func<string?> name, AccountLinks links)
{
    private static readonly HttpRequestOptionsKey<AccountNeeded> Mark = new("mooring-account-needed");

    private readonly CredentialKey _key = (person ?? default) with { Provider = config.Provider ?? server };

    /// <summary>What was missing when the server was last asked; null: nothing.</summary>
    public AccountNeeded? Needed { get; private set; }

    /// <summary>Sends a request with the person's token; where there is none that can be used, the answer is a 401 of the gateway's own.</summary>
    /// <param name="invoker">The way to the server.</param>
    /// <param name="request">What is sent.</param>
    /// <param name="of">The client's request that it is sent for; null: of the gateway's own accord.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker, HttpRequestMessage request, PendingRequest? of, CancellationToken cancel)
    {
        // Of the request at hand: another one of the same person may allow more, or less.
        var theirs = of?.Shown ?? shown();
        var token = tokens is null ? new Token(TokenState.NotLinked) : await tokens.GetAsync(theirs, cancel);
        // A server that says itself where tokens come from is asked without one: its refusal says what it wants.
        if (token.State != TokenState.Usable && tokens is not null && (config.Provider is not null || token.State != TokenState.NotLinked))
        {
            return Refuse(request, token, Challenge.None);
        }

        var response = await SendAsync(invoker, request, token.Value, cancel);
        var why = "";
        if (response.StatusCode is HttpStatusCode.Unauthorized && token.Value is { } refused && tokens is not null)
        {
            // It did not look at the request: with another token it may be sent again (invariant 9).
            var next = await tokens.RenewAsync(theirs, refused, cancel);
            if (next.State == TokenState.Usable)
            {
                response.Dispose();
                response = await SendAsync(invoker, request, next.Value, cancel);
                why = "the server takes neither its token nor a renewed one";
            }
            else if (next.State == TokenState.Unavailable)
            {
                response.Dispose();
                return Refuse(request, next, Challenge.None);
            }
            else
            {
                why = next.Why;
            }
        }

        if (response.StatusCode is HttpStatusCode.Unauthorized || (response.StatusCode is HttpStatusCode.Forbidden && ChallengeOf(response).Error == "insufficient_scope"))
        {
            var challenge = ChallengeOf(response);
            why = response.StatusCode is HttpStatusCode.Forbidden ? "the server wants more than its token allows" : why;
            response.Dispose();
            return Refuse(request, new Token(token.Value is null ? TokenState.NotLinked : TokenState.Broken, Why: why), challenge, byServer: true);
        }

        Needed = null;
        return response;
    }

    /// <summary>What is missing, where a response is one of the gateway's own.</summary>
    public static AccountNeeded? NeededFor(HttpResponseMessage response) =>
        response.RequestMessage is { } request && request.Options.TryGetValue(Mark, out var needed) ? needed : null;

    private static Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker, HttpRequestMessage request, string? token, CancellationToken cancel)
    {
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return invoker.SendAsync(request, cancel);
    }

    private static Challenge ChallengeOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("WWW-Authenticate", out var values) ? Challenge.Parse(values) : Challenge.None;

    private HttpResponseMessage Refuse(HttpRequestMessage request, Token token, Challenge challenge, bool byServer = false)
    {
        var because = token.Why.Length == 0 ? "" : $" ({token.Why})";
        Needed = token.State == TokenState.Unavailable ? new AccountNeeded(null, $"no token for it can be had now{because}")
            : config is { Kind: ServerAuthKind.Exchange, Provider: null } ? new AccountNeeded(null, $"it does not take the token that the gateway was given for you{because}", byServer)
            : new AccountNeeded(
                person is null ? null : links.AddressFor(_key, name(), challenge),
                token.State == TokenState.NotLinked ? "it needs your account, which is not connected yet" : $"your account has to be connected again{because}",
                byServer);
        request.Options.Set(Mark, Needed);
        return new HttpResponseMessage(HttpStatusCode.Unauthorized) { RequestMessage = request };
    }
}
