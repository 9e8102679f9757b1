using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Mooring.Configuration;

namespace Mooring.Auth;

/// <summary>Says, for each path that clients connect to, who issues tokens for it (RFC 9728).</summary>
internal sealed class ResourceMetadata(ConfigStore config, PublicAddress address)
{
    public const string Path = "/.well-known/oauth-protected-resource";

    /// <summary>Whether there is anybody to get a token from by oneself; keys are handed out by people.</summary>
    public static bool HasIssuers(AuthConfig auth) => auth.Has(AuthMode.OAuth) || auth.Has(AuthMode.Jwt);

    public Task AnswerAsync(HttpContext context, string path)
    {
        var auth = config.Current.Auth;
        if (!HasIssuers(auth))
        {
            return OpenAnswers.RefuseAsync(context, StatusCodes.Status404NotFound, "not_found", "No tokens are issued for this gateway.");
        }

        // With publicUrl https://host/prefix a client may ask with the prefix, which the resource's own path has not.
        var own = address.Of(context);
        var prefix = new Uri(own).AbsolutePath.Trim('/');
        path = path.Trim('/');
        if (prefix.Length > 0 && (path == prefix || path.StartsWith(prefix + "/", StringComparison.Ordinal)))
        {
            path = path[prefix.Length..].TrimStart('/');
        }

        var issuers = auth.Has(AuthMode.Jwt) ? auth.Jwt.Select(one => one.Issuer) : [];
        var document = new JsonObject
        {
            ["resource"] = own + (path.Length == 0 ? "" : new PathString("/" + path).ToUriComponent()),
            ["authorization_servers"] = new JsonArray([.. (auth.Has(AuthMode.OAuth) ? issuers.Prepend(own) : issuers).Select(issuer => JsonValue.Create(issuer))]),
            ["bearer_methods_supported"] = new JsonArray("header"),
            ["resource_name"] = "Mooring",
        };
        if (Scopes.Words(auth, Scopes.Use) is { Count: > 0 } words)
        {
            // What everybody needs; admin is asked for where it is wanted.
            document["scopes_supported"] = new JsonArray([.. words.Select(word => JsonValue.Create(word))]);
        }

        return OpenAnswers.AnswerAsync(context, document);
    }
}
