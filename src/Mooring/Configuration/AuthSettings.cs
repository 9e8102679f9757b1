namespace Mooring.Configuration;

/// <summary>The part of the table of settings that says who may come in.</summary>
internal static class AuthSettings
{
    private static readonly BooleanShape Bool = new();
    private static readonly TextShape Text = new("text that is not empty", text => text.Length > 0);
    private static readonly ListShape<string> Texts = new(Text, orOne: true);

    private static readonly ObjectShape<JwtIssuerConfig> Issuer = new ObjectShape<JwtIssuerConfig>(() => new())
        .Add("issuer", new TextShape(IssuerExpected, IsIssuer), c => Or(c.Issuer), (c, v) => c with { Issuer = v }, "The issuer as its tokens name it in iss, to the letter.")
        .Add("jwks", new UrlShape(), c => c.Jwks, (c, v) => c with { Jwks = v }, "Where the issuer's keys are. Without it, its discovery document says so.")
        .Add("audience", Texts, c => c.Audience, (c, v) => c with { Audience = v },
            "What must stand in aud. Without it, the address of the gateway, or of the path that is asked.")
        .Add("algorithms", new ListShape<string>(new ChoiceShape<string>([.. Algorithms.Select(a => KeyValuePair.Create(a, a))]), orOne: true),
            c => c.Algorithms, (c, v) => c with { Algorithms = v }, "Algorithms of signatures that are taken.")
        .Add("clockSkew", new DurationShape("0", "5m"), c => c.ClockSkew, (c, v) => c with { ClockSkew = v }, "How far the issuer's clock may be off.")
        .Add("groupsClaim", Text, c => c.GroupsClaim, (c, v) => c with { GroupsClaim = v }, "The claim that lists groups.")
        .Add("rolesClaim", Text, c => c.RolesClaim, (c, v) => c with { RolesClaim = v }, "The claim that lists roles.")
        .Add("requiredScope", Text, c => c.RequiredScope, (c, v) => c with { RequiredScope = v }, "A scope of the issuer's that a token must have. Without it, the audience is enough.")
        .Add("adminScope", Text, c => c.AdminScope, (c, v) => c with { AdminScope = v }, "A scope of the issuer's that makes its bearer an administrator.");

    private static readonly ObjectShape<OAuthClientConfig> Client = new ObjectShape<OAuthClientConfig>(() => new())
        .Add("name", Text, c => c.Name, (c, v) => c with { Name = v }, "What people are told.")
        .Add("redirectUris", Texts, c => c.RedirectUris, (c, v) => c with { RedirectUris = v }, "Where it may return to.");

    private static readonly ObjectShape<SignInProviderConfig> Provider = new ObjectShape<SignInProviderConfig>(() => new())
        .Add("kind", new OptionalShape<SignInProviderKind>(new ChoiceShape<SignInProviderKind>([new("openid", SignInProviderKind.OpenId), new("google", SignInProviderKind.Google), new("github", SignInProviderKind.GitHub)])),
            c => c.Kind, (c, v) => c with { Kind = v }, "What it speaks. Without it, by its name (google, github), else OpenID Connect.")
        .Add("title", Text, c => c.Title, (c, v) => c with { Title = v }, "What people are shown.")
        .Add("issuer", new TextShape(IssuerExpected, IsIssuer), c => c.Issuer, (c, v) => c with { Issuer = v }, "Its issuer, to the letter. Google and GitHub need none.")
        .Add("clientId", Text, c => Or(c.ClientId), (c, v) => c with { ClientId = v }, "The gateway's own id there.")
        .Add("clientSecret", Text, c => c.ClientSecret, (c, v) => c with { ClientSecret = v }, "And its secret, such as ${GOOGLE_CLIENT_SECRET}.")
        .Add("domains", Texts, c => c.Domains, (c, v) => c with { Domains = v },
            "Domains whose people may sign in: with Google the organization's, elsewhere that of a verified e-mail address. Without it, everybody whom the provider lets in.")
        .Add("organizations", Texts, c => c.Organizations, (c, v) => c with { Organizations = v }, "With GitHub, organizations one of which a person must be a member of.")
        .Add("scopes", Texts, c => c.Scopes, (c, v) => c with { Scopes = v }, "Asked for besides what is needed to know who somebody is.")
        .Add("groupsClaim", Text, c => c.GroupsClaim, (c, v) => c with { GroupsClaim = v }, "The claim that lists groups.")
        .Add("rolesClaim", Text, c => c.RolesClaim, (c, v) => c with { RolesClaim = v }, "The claim that lists roles.")
        .Add("redirectUri", new UrlShape(), c => c.RedirectUri, (c, v) => c with { RedirectUri = v },
            "Where it sends people back to, if it knows the gateway by an older address. Without it, /oauth/callback of publicUrl.");

    private static readonly ObjectShape<LocalUserConfig> User = new ObjectShape<LocalUserConfig>(() => new())
        .Add("password", Text, c => Or(c.Password), (c, v) => c with { Password = v }, "Best kept outside of the file, such as ${ADA_PASSWORD}.")
        .Add("email", Text, c => c.Email, (c, v) => c with { Email = v }, "Shown beside the name.")
        .Add("groups", Texts, c => c.Groups, (c, v) => c with { Groups = v }, "Groups the person is in.")
        .Add("roles", Texts, c => c.Roles, (c, v) => c with { Roles = v }, "Roles the person has.");

    private static readonly ObjectShape<OAuthConfig> OAuth = new ObjectShape<OAuthConfig>(() => new())
        .Add("accessToken", new DurationShape("10s", "30d"), c => c.AccessToken, (c, v) => c with { AccessToken = v }, "How long an access token works.")
        .Add("refreshToken", new DurationShape("1m", "365d"), c => c.RefreshToken, (c, v) => c with { RefreshToken = v }, "How long somebody stays signed in at a client that is not used.")
        .Add("refreshLeeway", new DurationShape("0", "1m"), c => c.RefreshLeeway, (c, v) => c with { RefreshLeeway = v },
            "For how long after its first use a refresh token may be used once more, by a client whose answer was lost. After that, a second use ends all that was allowed.")
        .Add("signInAgainAfter", new DurationShape("1m", "3650d"), c => c.SignInAgainAfter, (c, v) => c with { SignInAgainAfter = v },
            "How long after signing in people have to do so again, however busy their clients are: refreshing ends then. Until then their provider is not asked about them.")
        .Add("signIn", new DurationShape("1m", "30d"), c => c.SignIn, (c, v) => c with { SignIn = v }, "How long a browser stays signed in at the gateway's own pages.")
        .Add("registration", Bool, c => c.Registration, (c, v) => c with { Registration = v }, "Whether clients may register themselves (RFC 7591). Those that did stay where they no longer may.")
        .Add("registrationLifetime", new DurationShape("1m", "3650d"), c => c.RegistrationLifetime, (c, v) => c with { RegistrationLifetime = v }, "How long a registration is kept after a person last allowed its client something; one of which nobody has, an hour.")
        .Add("registrationsPerHour", new IntegerShape(1, 1_000_000), c => c.RegistrationsPerHour, (c, v) => c with { RegistrationsPerHour = v }, "Registrations from one address in an hour; from a network (IPv4 /24, IPv6 /48), ten times as many.")
        .Add("registrations", new IntegerShape(1, 10_000_000), c => c.Registrations, (c, v) => c with { Registrations = v }, "Registrations that are kept at once.")
        .Add("clientMetadata", Bool, c => c.ClientMetadata, (c, v) => c with { ClientMetadata = v },
            "Whether a client may be known by the https address of its metadata document, which the gateway then reads.")
        .Add("redirectSchemes", Texts, c => c.RedirectSchemes, (c, v) => c with { RedirectSchemes = v },
            "Schemes of editors and other programs on people's machines that a client may return to, besides https and loopback addresses.")
        .Add("clients", new MapShape<OAuthClientConfig>(Client, StringComparer.Ordinal), c => c.Clients, (c, v) => c with { Clients = v }, "Clients that are known beforehand, by id.")
        .Add("providers", new MapShape<SignInProviderConfig>(Provider, StringComparer.Ordinal, CheckProviderName), c => c.Providers, (c, v) => c with { Providers = v }, "Where people sign in, by name.")
        .Add("users", new MapShape<LocalUserConfig>(User, StringComparer.Ordinal), c => c.Users, (c, v) => c with { Users = v }, "People known here by name and password, for a first try.");

    public static readonly ObjectShape<AuthConfig> Auth = new ObjectShape<AuthConfig>(() => new())
        .Add("mode", new AuthModeShape(), c => c.Mode, (c, v) => c with { Mode = v },
            "Who may come in, one word or a list of words: none, apiKey (mooring token create), jwt (tokens of other issuers), oauth (the gateway's own authorization server). "
            + "none is refused on an address that other machines can reach, unless allowAnonymous is true, and warned of behind a proxy.", restart: true)
        .Add("allowAnonymous", Bool, c => c.AllowAnonymous, (c, v) => c with { AllowAnonymous = v },
            "Says in so many words that other machines may use the gateway without authentication.", restart: true)
        .Add("adminUsers", Texts, c => c.AdminUsers, (c, v) => c with { AdminUsers = v },
            "People who are administrators: as issuer#subject or issuer#address, the address being one that this issuer says is verified; by e-mail address alone, where any issuer that stands here says so; or by name where they stand in auth.oauth.users.")
        .Add("adminGroups", Texts, c => c.AdminGroups, (c, v) => c with { AdminGroups = v }, "Groups whose people are administrators.")
        .Add("jwt", new ListShape<JwtIssuerConfig>(Issuer), c => c.Jwt, (c, v) => c with { Jwt = v }, "Whose signed tokens are taken in mode jwt.")
        .Add("oauth", OAuth, c => c.OAuth, (c, v) => c with { OAuth = v }, "The authorization server of mode oauth.");

    private const string IssuerExpected = "an issuer such as https://login.example.com; plain http is for loopback addresses only";

    private static string[] Algorithms => ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    /// <summary>Whoever can change what an issuer says on the way decides who comes in.</summary>
    internal static bool IsIssuer(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Query.Length == 0 && url.Fragment.Length == 0 && (url.Scheme == "https" || (url.Scheme == "http" && url.IsLoopback));

    private static string? CheckProviderName(string name) =>
        name.Length is > 0 and <= 32 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') ? null : "is no name for a provider; use up to 32 letters, digits, - and _.";

    private static string? Or(string text) => text.Length == 0 ? null : text;
}
