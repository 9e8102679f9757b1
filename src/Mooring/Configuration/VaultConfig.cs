namespace Mooring.Configuration;

public enum VaultKind
{
    /// <summary>A key file, or a certificate, outside of the store.</summary>
    Local,

    /// <summary>A key in the AWS Key Management Service.</summary>
    AwsKms,
}

/// <summary>What the store's data keys are wrapped with, and when they change.</summary>
public sealed record VaultConfig
{
    public VaultKind Kind { get; init; } = VaultKind.Local;

    /// <summary>File with a key of 32 bytes in base64; null: <c>vault.key</c> in the data directory, made at the first start.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Instead of a key file: an RSA certificate and its key.</summary>
    public TlsConfig? Certificate { get; init; }

    /// <summary>For <see cref="VaultKind.AwsKms"/>: the key's id, ARN or alias. With <see cref="VaultKind.Local"/> one that was in use before.</summary>
    public string? KmsKey { get; init; }

    /// <summary>Where it is; null: what its ARN says, or what is usual for the AWS SDK.</summary>
    public string? Region { get; init; }

    /// <summary>A role that is assumed for the service; null: none, beside what the AWS SDK finds.</summary>
    public string? Role { get; init; }

    /// <summary>Another address of the service, such as an interface endpoint of a private network.</summary>
    public Uri? KmsEndpoint { get; init; }

    /// <summary>Whether the configuration says which key wraps; else it is the one in the data directory.</summary>
    internal bool NamesKey => Kind == VaultKind.AwsKms || KeyFile is not null || Certificate is not null;

    /// <summary>Key files that are read with no more than needed to exchange them for <see cref="KeyFile"/>.</summary>
    public IReadOnlyList<string> OldKeyFiles { get; init; } = [];

    /// <summary>The same for <see cref="Certificate"/>.</summary>
    public IReadOnlyList<TlsConfig> OldCertificates { get; init; } = [];

    /// <summary>Whether rows with what people asked and got are sealed.</summary>
    /// <value>Default true; where several replicas share the store, only with a key that is named. False while the release before this one may have to be brought back: it reads no sealed rows.</value>
    public bool Seal { get; init; } = true;

    /// <summary>How old a data key becomes before the next one is made.</summary>
    /// <value>Default 90 days; 1 min to 10 years.</value>
    public TimeSpan RotateAfter { get; init; } = TimeSpan.FromDays(90);
}
