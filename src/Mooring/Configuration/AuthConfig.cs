namespace Mooring.Configuration;

/// <summary>A way in.</summary>
public enum AuthMode
{
    /// <summary>Everybody is the same anonymous one; or a host that embeds the gateway brings its own authentication.</summary>
    None,

    /// <summary>Keys made with <c>mooring token create</c>.</summary>
    ApiKey,

    /// <summary>Signed tokens of other issuers.</summary>
    Jwt,

    /// <summary>Tokens of the gateway's own authorization server.</summary>
    OAuth,
}

/// <summary>Who may come in.</summary>
public sealed record AuthConfig
{
    /// <summary>The ways in; several at once, but none stands alone.</summary>
    public IReadOnlyList<AuthMode> Mode { get; init; } = [AuthMode.None];

    /// <summary>Says in so many words that a non-loopback address may be served without authentication.</summary>
    public bool AllowAnonymous { get; init; }

    /// <summary>People who have the scope <c>admin</c>: as <c>issuer#subject</c> or <c>issuer#address</c>, by an e-mail address that any issuer says is verified, or by name where they stand in the configuration.</summary>
    public IReadOnlyList<string> AdminUsers { get; init; } = [];

    /// <summary>Groups whose people have the scope <c>admin</c>.</summary>
    public IReadOnlyList<string> AdminGroups { get; init; } = [];

    /// <summary>Whose signed tokens are taken.</summary>
    public IReadOnlyList<JwtIssuerConfig> Jwt { get; init; } = [];

    public OAuthConfig OAuth { get; init; } = new();

    /// <summary>Whether the gateway itself asks nobody who they are.</summary>
    internal bool IsOpen => Mode is [AuthMode.None];

    internal bool Has(AuthMode mode) => Mode.Contains(mode);
}

/// <summary>Another issuer of tokens.</summary>
public sealed record JwtIssuerConfig
{
    /// <summary>As its tokens say it in <c>iss</c>, to the letter.</summary>
    public string Issuer { get; init; } = "";

    /// <summary>Where its keys are; null: where its discovery document says.</summary>
    public Uri? Jwks { get; init; }

    /// <summary>What must stand in <c>aud</c>; empty: the address of the gateway, or of the path that is asked.</summary>
    public IReadOnlyList<string> Audience { get; init; } = [];

    /// <summary>Algorithms of signatures. Those with shared secrets are never taken.</summary>
    public IReadOnlyList<string> Algorithms { get; init; } = ["RS256", "PS256", "ES256", "ES384"];

    /// <summary>How far its clock may be off.</summary>
    /// <value>Default 30 s; 0 to 5 min.</value>
    public TimeSpan ClockSkew { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The claim that lists groups.</summary>
    public string GroupsClaim { get; init; } = "groups";

    /// <summary>The claim that lists roles.</summary>
    public string RolesClaim { get; init; } = "roles";

    /// <summary>A scope of the issuer's that a token must have; null: the audience is enough.</summary>
    public string? RequiredScope { get; init; }

    /// <summary>A scope of the issuer's that makes its bearer an administrator; null: none does.</summary>
    public string? AdminScope { get; init; }
}

/// <summary>The gateway's own authorization server.</summary>
public sealed record OAuthConfig
{
    /// <summary>How long an access token works.</summary>
    /// <value>Default 1 h: long against the cost of a refresh, short against what a stolen one can do.</value>
    public TimeSpan AccessToken { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long somebody stays signed in at a client that is not used.</summary>
    /// <value>Default 30 d.</value>
    public TimeSpan RefreshToken { get; init; } = TimeSpan.FromDays(30);

    /// <summary>For how long after its first use a refresh token may be used once more, by a client whose answer was lost.</summary>
    /// <value>Default 0: a second use ends what was allowed, at once.</value>
    public TimeSpan RefreshLeeway { get; init; } = TimeSpan.Zero;

    /// <summary>How long after somebody signed in no client of theirs is given tokens any more, however busy it is: they sign in again.</summary>
    /// <value>Default 30 d: until then whoever vouches for people is not asked about them.</value>
    public TimeSpan SignInAgainAfter { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long a browser stays signed in at the gateway's own pages.</summary>
    /// <value>Default 12 h.</value>
    public TimeSpan SignIn { get; init; } = TimeSpan.FromHours(12);

    /// <summary>Whether clients may register themselves; those that did stay where they no longer may.</summary>
    public bool Registration { get; init; } = true;

    /// <summary>How long a registration is kept after a person last allowed its client something; one of which nobody has, an hour.</summary>
    /// <value>Default 90 d.</value>
    public TimeSpan RegistrationLifetime { get; init; } = TimeSpan.FromDays(90);

    /// <summary>Registrations from one address in an hour; from a network (IPv4 /24, IPv6 /48), ten times as many.</summary>
    /// <value>Default 30.</value>
    public int RegistrationsPerHour { get; init; } = 30;

    /// <summary>Registrations that are kept at once.</summary>
    /// <value>Default 10,000.</value>
    public int Registrations { get; init; } = 10_000;

    /// <summary>Whether a client may be known by the address of its metadata document.</summary>
    public bool ClientMetadata { get; init; } = true;

    /// <summary>Schemes other than https, of programs that a person knows, that a client may return to.</summary>
    public IReadOnlyList<string> RedirectSchemes { get; init; } = ["cursor", "vscode", "vscode-insiders", "code-oss"];

    /// <summary>Clients that are known beforehand, by id.</summary>
    public IReadOnlyDictionary<string, OAuthClientConfig> Clients { get; init; } = new Dictionary<string, OAuthClientConfig>(StringComparer.Ordinal);

    /// <summary>Where people sign in, by name.</summary>
    public IReadOnlyDictionary<string, SignInProviderConfig> Providers { get; init; } = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal);

    /// <summary>People known here, for a first try.</summary>
    public IReadOnlyDictionary<string, LocalUserConfig> Users { get; init; } = new Dictionary<string, LocalUserConfig>(StringComparer.Ordinal);
}

/// <summary>A client that is known beforehand.</summary>
public sealed record OAuthClientConfig
{
    /// <summary>What people are told.</summary>
    public string? Name { get; init; }

    public IReadOnlyList<string> RedirectUris { get; init; } = [];
}

/// <summary>What an identity provider speaks.</summary>
public enum SignInProviderKind
{
    /// <summary>OpenID Connect.</summary>
    OpenId,

    Google,

    GitHub,
}

/// <summary>Where people sign in.</summary>
public sealed record SignInProviderConfig
{
    /// <summary>Null: by its name in the configuration, else OpenID Connect.</summary>
    public SignInProviderKind? Kind { get; init; }

    /// <summary>What people are shown; null: its name in the configuration.</summary>
    public string? Title { get; init; }

    /// <summary>Its issuer, to the letter; Google and GitHub need none.</summary>
    public string? Issuer { get; init; }

    public string ClientId { get; init; } = "";

    public string? ClientSecret { get; init; }

    /// <summary>Domains whose people may sign in: with Google the organization's, elsewhere that of a verified e-mail address. Empty: everybody may whom the provider lets in.</summary>
    public IReadOnlyList<string> Domains { get; init; } = [];

    /// <summary>Organizations of GitHub, one of which a person must be a member of; empty: everybody.</summary>
    public IReadOnlyList<string> Organizations { get; init; } = [];

    /// <summary>Asked for besides what is needed to know who somebody is.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>The claim that lists groups.</summary>
    public string GroupsClaim { get; init; } = "groups";

    /// <summary>The claim that lists roles.</summary>
    public string RolesClaim { get; init; } = "roles";

    /// <summary>Where the provider sends people back to, where it knows the gateway by an older address; null: <c>/oauth/callback</c>.</summary>
    public Uri? RedirectUri { get; init; }
}

/// <summary>Somebody known here.</summary>
public sealed record LocalUserConfig
{
    public string Password { get; init; } = "";

    public string? Email { get; init; }

    public IReadOnlyList<string> Groups { get; init; } = [];

    public IReadOnlyList<string> Roles { get; init; } = [];
}
