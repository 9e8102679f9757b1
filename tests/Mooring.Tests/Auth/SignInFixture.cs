using Mooring.Configuration;

namespace Mooring.Tests.Auth;

/// <summary>Gateways with an authorization server of their own.</summary>
internal static class SignInFixture
{
    public static OAuthConfig Users { get; } = new()
    {
        Users = new Dictionary<string, LocalUserConfig>(StringComparer.Ordinal)
        {
            ["ann"] = new() { Password = "secret", Groups = ["staff"] },
            ["ben"] = new() { Password = "hidden" },
        },
    };

    public static AuthConfig Local { get; } = new() { Mode = [AuthMode.OAuth], OAuth = Users, AdminGroups = ["staff"] };

    public static Task<GatewayFixture> StartAsync(Func<OAuthConfig, OAuthConfig>? oauth = null, FixtureOptions? options = null) =>
        AuthFixture.StartAsync(Local with { OAuth = (oauth ?? (same => same))(Users) }, options);
}
