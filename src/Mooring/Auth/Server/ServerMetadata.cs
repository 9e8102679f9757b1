using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Mooring.Configuration;

namespace Mooring.Auth.Server;

/// <summary>What the authorization server says of itself (RFC 8414).</summary>
internal sealed class ServerMetadata(ConfigStore config, PublicAddress address)
{
    public const string Path = "/.well-known/oauth-authorization-server";

    public Task AnswerAsync(HttpContext context)
    {
        var issuer = address.Of(context);
        var oauth = config.Current.Auth.OAuth;
        var document = new JsonObject
        {
            ["issuer"] = issuer,
            ["authorization_endpoint"] = issuer + "/oauth/authorize",
            ["token_endpoint"] = issuer + "/oauth/token",
            ["revocation_endpoint"] = issuer + "/oauth/revoke",
            ["scopes_supported"] = new JsonArray([.. Scopes.All.Select(scope => JsonValue.Create(scope))]),
            ["response_types_supported"] = new JsonArray("code"),
            ["response_modes_supported"] = new JsonArray("query"),
            ["grant_types_supported"] = new JsonArray("authorization_code", "refresh_token"),
            ["token_endpoint_auth_methods_supported"] = new JsonArray("none"),
            ["revocation_endpoint_auth_methods_supported"] = new JsonArray("none"),
            ["code_challenge_methods_supported"] = new JsonArray("S256"),
            ["authorization_response_iss_parameter_supported"] = true,
        };
        if (oauth.Registration)
        {
            document["registration_endpoint"] = issuer + "/oauth/register";
        }

        if (oauth.ClientMetadata)
        {
            document["client_id_metadata_document_supported"] = true;
        }

        return OpenAnswers.AnswerAsync(context, document);
    }
}
