using System.Text.Json.Nodes;
using Mooring.Auth.Issuers;
using Mooring.Configuration;
using Mooring.Telemetry;

namespace Mooring.Auth.Server.Providers;

/// <summary>GitHub, or an enterprise's own: OAuth without identity tokens, so who somebody is is asked of its interface.</summary>
internal sealed class GitHubProvider(string name, SignInProviderConfig config, AuthHttp http) : IdentityProvider(name, config)
{
    public const string Public = "https://github.com";

    public override string Issuer => Config.Issuer?.TrimEnd('/') ?? Public;

    private string Api => Issuer == Public ? "https://api.github.com" : Issuer + "/api/v3";

    public override bool StillVouches(Person person) =>
        base.StillVouches(person) && (Config.Organizations.Count == 0 || (person.Groups ?? []).Any(one => Config.Organizations.Contains(one, StringComparer.OrdinalIgnoreCase)));

    public override ValueTask<string?> AddressAsync(SignInVisit visit)
    {
        var scopes = new[] { "read:user", "user:email" }.Concat(Config.Organizations.Count > 0 ? ["read:org"] : []).Concat(Config.Scopes).Distinct();
        List<(string, string)> parameters =
        [
            ("client_id", Config.ClientId), ("redirect_uri", visit.RedirectUri), ("scope", string.Join(' ', scopes)), ("state", visit.State),
            ("code_challenge", ChallengeOf(visit.Verifier)), ("code_challenge_method", "S256"),
        ];
        if (visit.Asks is not null)
        {
            // All that it can be had to ask.
            parameters.Add(("prompt", SignInVisit.SelectAccount));
        }

        return new(WithQuery(Issuer + "/login/oauth/authorize", [.. parameters]));
    }

    public override async Task<PersonFound> PersonAsync(string code, SignInVisit visit, CancellationToken cancel)
    {
        var answer = await http.PostFormAsync(
            new Uri(Issuer + "/login/oauth/access_token"),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["client_id"] = Config.ClientId,
                ["client_secret"] = Config.ClientSecret ?? "",
                ["code"] = code,
                ["redirect_uri"] = visit.RedirectUri,
                ["code_verifier"] = visit.Verifier,
            },
            cancel);
        // Failures come with 200 too.
        if (!answer.IsGood || Text(answer.Json!, "access_token") is not { Length: > 0 } token)
        {
            return new PersonFound(null, $"{Title} did not take the code it gave ({WhyNot(answer, "no token")}).");
        }

        if (await http.GetAsync(new Uri(Api + "/user"), cancel, token) is not { IsGood: true, Json: { } user } || user["id"] is not JsonValue id)
        {
            return new PersonFound(null, $"{Title} did not say who you are. Try again in a moment.");
        }

        var groups = await GroupsAsync(token, cancel);
        if (Config.Organizations.Count > 0 && groups.Count == 0)
        {
            return new PersonFound(null, $"You are a member of no organization that may come in here ({string.Join(", ", Config.Organizations)}).");
        }

        // Names can be given up and taken by others; numbers stay.
        var email = await EmailAsync(token, cancel);
        return MayCome(email)
            ? new PersonFound(new Person(Issuer, id.ToString(), (string?)user["login"], email, groups))
            : new PersonFound(null, $"You have no verified address of a domain that may come in here ({string.Join(", ", Config.Domains)}).");
    }

    private async Task<IReadOnlyList<string>> GroupsAsync(string token, CancellationToken cancel)
    {
        if (Config.Organizations.Count == 0)
        {
            return [];
        }

        var list = await http.GetListAsync(new Uri(Api + "/user/orgs?per_page=100"), token, cancel);
        // Anybody can found an organization of any name that is free, so only those that are named are groups.
        return [.. list.OfType<JsonObject>().Select(one => (string?)one["login"]).OfType<string>().Where(one => Config.Organizations.Contains(one, StringComparer.OrdinalIgnoreCase))];
    }

    private async Task<string?> EmailAsync(string token, CancellationToken cancel)
    {
        var list = (await http.GetListAsync(new Uri(Api + "/user/emails"), token, cancel)).OfType<JsonObject>().Where(one => one["verified"] is JsonValue flag && flag.TryGetValue<bool>(out var isTrue) && isTrue)
            .OrderByDescending(one => one["primary"] is JsonValue flag && flag.TryGetValue<bool>(out var isTrue) && isTrue).Select(one => (string?)one["email"]).OfType<string>().ToList();
        // Of several the one of a domain that may come in.
        return list.Find(one => Config.Domains.Count > 0 && MayCome(one)) ?? list.FirstOrDefault();
    }
}
