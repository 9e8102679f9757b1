using Amazon.Runtime;
using Amazon.Runtime.Credentials;

namespace Mooring.Stores;

/// <summary>
/// A role that the process assumes with the credentials that the AWS SDK finds, for all requests of one client. Both are looked for with the first request, and again where
/// that failed: the start waits for neither.
/// </summary>
internal sealed class AwsRole(string role) : AWSCredentials
{
    /// <summary>Stands in the service's audit log.</summary>
    private const string Session = "mooring";

    private AssumeRoleAWSCredentials? _assumed;

    /// <summary>What is assumed for a client; null: nothing is, and the SDK finds what to use itself.</summary>
    public static AwsRole? Of(string? role) => role is null ? null : new AwsRole(role);

    public override ImmutableCredentials GetCredentials() => Assumed.GetCredentials();

    public override Task<ImmutableCredentials> GetCredentialsAsync() => Assumed.GetCredentialsAsync();

    private AssumeRoleAWSCredentials Assumed => LazyInitializer.EnsureInitialized(ref _assumed, () => new AssumeRoleAWSCredentials(DefaultAWSCredentialsIdentityResolver.GetCredentials(), role, Session));
}
