using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Mooring.Audit;
using Mooring.Streams;
using Mooring.Vault;

namespace Mooring.Auth;

/// <summary>
/// Who makes a request, as a token says that was found good. One object per token, for as long as <see cref="Authenticator"/> remembers it; it ends
/// it. Requests and streams borrow it, as the user of their request.
/// </summary>
internal sealed class Caller : ClaimsPrincipal, IStreamPass
{
    private readonly Lock _gate = new();
    private CancellationTokenSource? _ended;
    private bool _isOver;
    private int _streams;

    public Caller(Person person, IReadOnlyList<string> scopes, DateTimeOffset expires, IReadOnlyList<string>? paths = null)
        : base(new ClaimsIdentity(ClaimsOf(person), authenticationType: "mooring", nameType: "name", roleType: "groups"))
    {
        (Person, Scopes, Expires, Paths) = (person, scopes, expires, paths);
    }

    public Person Person { get; }

    public IReadOnlyList<string> Scopes { get; }

    public DateTimeOffset Expires { get; }

    /// <summary>The paths it was issued for, with all below each; null: the gateway as a whole.</summary>
    public IReadOnlyList<string>? Paths { get; }

    /// <summary>The token itself, where another issuer signed it and it can be exchanged; null: it is the gateway's own.</summary>
    public SubjectToken? Shown { get; init; }

    /// <summary>The client that the gateway's own authorization server gave it to; null: it is none of its tokens.</summary>
    public string? Client { get; init; }

    /// <summary>As <see cref="AuditEntry.Credential"/>.</summary>
    public string? Credential { get; init; }

    /// <summary>The consent it came of, as the store names it; null: it came of none.</summary>
    public string? Grant { get; init; }

    public bool IsRevoked { get; private set; }

    public bool HasStreams => Volatile.Read(ref _streams) > 0;

    /// <summary>What the caller of a request showed that can be exchanged.</summary>
    public static SubjectToken? ShownBy(HttpContext context) => (context.Features.Get<IHttpAuthenticationFeature>()?.User as Caller)?.Shown;

    /// <summary>With what, and from where, a request came.</summary>
    public static AuditOrigin OriginOf(HttpContext context) =>
        new((context.Features.Get<IHttpAuthenticationFeature>()?.User as Caller)?.Credential, context.Connection.RemoteIpAddress);

    /// <summary>Whether it was issued for what lives at a path (RFC 8707).</summary>
    public bool IsFor(string path)
    {
        if (Paths is null)
        {
            return true;
        }

        foreach (var one in Paths)
        {
            if (path.StartsWith(one, StringComparison.Ordinal) && (path.Length == one.Length || path[one.Length] == '/'))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether both say the same of the same token: who it is, and what it lets them do.</summary>
    public bool IsAs(Caller other) =>
        Person.IsAs(other.Person)
        && Expires == other.Expires
        && Scopes.Order(StringComparer.Ordinal).SequenceEqual(other.Scopes.Order(StringComparer.Ordinal), StringComparer.Ordinal)
        && (Paths is null) == (other.Paths is null)
        && (Paths ?? []).Order(StringComparer.Ordinal).SequenceEqual((other.Paths ?? []).Order(StringComparer.Ordinal), StringComparer.Ordinal);

    public CancellationToken Open()
    {
        lock (_gate)
        {
            _streams++;
            _ended ??= new CancellationTokenSource();
            if (_isOver)
            {
                _ended.Cancel();
            }

            return _ended.Token;
        }
    }

    public void Close()
    {
        lock (_gate)
        {
            _streams--;
        }
    }

    /// <summary>It counts no longer: its streams end.</summary>
    public void End(bool isRevoked)
    {
        CancellationTokenSource? ended;
        lock (_gate)
        {
            if (_isOver)
            {
                return;
            }

            _isOver = true;
            IsRevoked = isRevoked;
            ended = _ended;
        }

        ended?.Cancel();
    }

    /// <summary>Ends it unless it has streams: then it has none from now on either, and need not be remembered.</summary>
    public bool TryEndWithoutStreams()
    {
        lock (_gate)
        {
            if (_streams > 0)
            {
                return false;
            }

            (_isOver, IsRevoked) = (true, true);
            return true;
        }
    }

    private static IEnumerable<Claim> ClaimsOf(Person person)
    {
        Claim Of(string type, string value) => new(type, value, ClaimValueTypes.String, person.Issuer);
        yield return Of("sub", person.Subject);
        yield return Of("name", person.Shown);
        if (person.Email is { } email)
        {
            yield return Of("email", email);
        }

        foreach (var group in person.Groups ?? [])
        {
            yield return Of("groups", group);
        }

        foreach (var role in person.Roles ?? [])
        {
            yield return Of("roles", role);
        }
    }
}
