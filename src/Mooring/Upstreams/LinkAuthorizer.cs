using System.Net;
using System.Net.Http.Headers;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Upstreams;

/// <summary>
/// Puts one person's token on requests to one server; without a person, none. The client's own token never comes here. One for all of a session's
/// links to the server that are of the same linking of an account, so that what was found missing is known when the next one is opened. What the server was told of one account,
/// its session above all, is nothing for another one.
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
    /// <summary>Scopes that are named in one sentence.</summary>
    private const int MostScopes = 10;

    private static readonly HttpRequestOptionsKey<AccountNeeded> Mark = new("mooring-account-needed");

    private readonly CredentialKey _key = (person ?? default) with { Provider = config.Provider ?? server };

    private string? _linking;
    private string? _last;
    private volatile bool _hasEnded;
    private volatile bool _isOver;

    /// <summary>What was missing when the server was last asked; null: nothing.</summary>
    public AccountNeeded? Needed { get; private set; }

    /// <summary>Which linking of the account its links are of, empty where that was not noted; null: nothing was sent to the server yet.</summary>
    public string? Linking => Volatile.Read(ref _linking);

    /// <summary>Whether the account is another one by now: its links say nothing to the server any more but that they end.</summary>
    public bool HasEnded => _hasEnded;

    /// <summary>Whether that is so, or a request found it to be: what was not sent for it says nothing of the server.</summary>
    public bool IsOver => _hasEnded || _isOver;

    /// <summary>Called when a request finds that the account is another one by now, or none. May be called more than once.</summary>
    public Action? Changed { get; set; }

    /// <summary>The next link goes on with a session that the server has with this linking. Before anything is sent.</summary>
    public void GoOnWith(string linking) => Volatile.Write(ref _linking, linking);

    public void End() => _hasEnded = true;

    /// <summary>Sends a request with the person's token; where there is none that can be used, the answer is a 401 of the gateway's own.</summary>
    /// <param name="invoker">The way to the server.</param>
    /// <param name="request">What is sent.</param>
    /// <param name="of">The client's request that it is sent for; null: of the gateway's own accord.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker, HttpRequestMessage request, PendingRequest? of, CancellationToken cancel)
    {
        if (HasEnded)
        {
            return await LeaveAsync(invoker, request, cancel);
        }

        // Of the request at hand: another one of the same person may allow more, or less.
        var theirs = of?.Shown ?? shown();
        var token = tokens is null ? new Token(TokenState.NotLinked) : await tokens.GetAsync(theirs, cancel);
        if (IsOfAnother(token) || (HasEnded && token.State == TokenState.Usable))
        {
            return await LeaveAsync(invoker, request, cancel);
        }

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
            if (IsOfAnother(next) || (HasEnded && next.State == TokenState.Usable))
            {
                response.Dispose();
                return await LeaveAsync(invoker, request, cancel);
            }

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
            var forbidden = response.StatusCode is HttpStatusCode.Forbidden ? Forbidden(challenge) : null;
            response.Dispose();
            return forbidden is not null
                ? Refuse(request, new AccountNeeded(null, forbidden, ByServer: true))
                : Refuse(request, new Token(token.Value is null ? TokenState.NotLinked : TokenState.Broken, Why: why), challenge, byServer: true);
        }

        Needed = null;
        return response;
    }

    /// <summary>What is missing, where a response is one of the gateway's own.</summary>
    public static AccountNeeded? NeededFor(HttpResponseMessage response) =>
        response.RequestMessage is { } request && request.Options.TryGetValue(Mark, out var needed) ? needed : null;

    /// <summary>Whether a token is not of the account that the server knows this link by. What is only out of date, or of no use any more, is of it.</summary>
    private bool IsOfAnother(Token token)
    {
        var isAnother = token.State switch
        {
            TokenState.Usable => (Interlocked.CompareExchange(ref _linking, token.Link ?? "", null) ?? token.Link ?? "") != (token.Link ?? ""),
            TokenState.NotLinked => Linking is not null,
            _ => false,
        };
        if (isAnother)
        {
            _isOver = true;
            Changed?.Invoke();
        }

        return isAnother;
    }

    /// <summary>Of what belongs to an account that is no longer the person's the server hears one thing: that its session ends.</summary>
    private async Task<HttpResponseMessage> LeaveAsync(HttpMessageInvoker invoker, HttpRequestMessage request, CancellationToken cancel)
    {
        if (request.Method == HttpMethod.Delete && _last is { } last)
        {
            return await SendAsync(invoker, request, last, cancel);
        }

        request.Options.Set(Mark, AccountNeeded.OfAnother);
        return new HttpResponseMessage(HttpStatusCode.Unauthorized) { RequestMessage = request };
    }

    /// <summary>What the configuration keeps people from allowing, where a server wants more than their tokens allow: to link again would lead to the same.</summary>
    private string? Forbidden(Challenge challenge)
    {
        var (allowed, where) = config.Kind == ServerAuthKind.Provider
            ? (links.ScopesOf(_key.Provider), $"providers.{_key.Provider}.scopes")
            : (config.Scopes, "its auth.scopes");
        List<string> missing = allowed.Count == 0 || challenge.Scope is not { } wanted ? [] : [.. wanted.Split(' ', StringSplitOptions.RemoveEmptyEntries).Except(allowed).Take(MostScopes)];
        return missing.Count == 0
            ? null
            : $"it wants more than its token allows: the scope {string.Join(' ', missing)}, which the gateway does not ask for; whoever runs the gateway can add it to {where}";
    }

    private Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker, HttpRequestMessage request, string? token, CancellationToken cancel)
    {
        _last = token ?? _last;
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return invoker.SendAsync(request, cancel);
    }

    private static Challenge ChallengeOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("WWW-Authenticate", out var values) ? Challenge.Parse(values) : Challenge.None;

    private HttpResponseMessage Refuse(HttpRequestMessage request, Token token, Challenge challenge, bool byServer = false)
    {
        var because = token.Why.Length == 0 ? "" : $" ({token.Why})";
        return Refuse(request, token.State == TokenState.Unavailable ? new AccountNeeded(null, $"no token for it can be had now{because}")
            : config is { Kind: ServerAuthKind.Exchange, Provider: null } ? new AccountNeeded(null, $"it does not take the token that the gateway was given for you{because}", byServer)
            : new AccountNeeded(
                person is null ? null : links.AddressFor(_key, name(), challenge),
                token.State == TokenState.NotLinked ? "it needs your account, which is not connected yet" : $"your account has to be connected again{because}",
                byServer));
    }

    private HttpResponseMessage Refuse(HttpRequestMessage request, AccountNeeded needed)
    {
        Needed = needed;
        request.Options.Set(Mark, needed);
        return new HttpResponseMessage(HttpStatusCode.Unauthorized) { RequestMessage = request };
    }
}
