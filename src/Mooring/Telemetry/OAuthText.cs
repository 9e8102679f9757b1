using System.Collections.Frozen;

namespace Mooring.Telemetry;

/// <summary>Words of providers, made fit for logs and pages.</summary>
internal static class OAuthText
{
    /// <summary>RFC 6749 (4.1.2.1, 5.2), RFC 7591 (3.2.2), RFC 8707, RFC 8693, OpenID Connect Core (3.1.2.6), and GitHub's and Slack's own.</summary>
    private static readonly FrozenSet<string> Known = FrozenSet.Create(
        StringComparer.Ordinal,
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "access_denied", "unsupported_response_type", "server_error",
        "temporarily_unavailable", "invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement", "invalid_target", "invalid_token",
        "insufficient_scope", "interaction_required", "login_required", "account_selection_required", "consent_required", "invalid_request_uri", "invalid_request_object", "request_not_supported",
        "request_uri_not_supported", "registration_not_supported", "bad_verification_code", "incorrect_client_credentials", "redirect_uri_mismatch", "unverified_user_email", "application_suspended",
        "invalid_code", "code_already_used", "invalid_refresh_token", "token_expired", "token_revoked", "account_inactive", "invalid_client_id", "bad_client_secret", "bad_redirect_uri", "invalid_auth",
        "ratelimited");

    /// <summary>An error code that a specification has. Anything else is not repeated: it may be what was sent, a secret among it, or be put into an address by somebody else.</summary>
    public static string Word(string? error) => error is null ? "no error code" : Known.Contains(error) ? error : "an error that no specification has";
}
