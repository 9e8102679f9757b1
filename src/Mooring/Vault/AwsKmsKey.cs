using System.Globalization;
using Amazon;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// A key in the AWS Key Management Service. It is asked once per data key and start; what a data key is for goes along as its encryption context,
/// which stands in the service's audit log and without which it does not decrypt.
/// </summary>
internal sealed class AwsKmsKey : IKeyWrapper, IDisposable
{
    private const string Prefix = "awsKms:";

    /// <summary>Longest time of one try; whoever opens the store tries again and again.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly AmazonKeyManagementServiceClient _client;
    private readonly string _key;

    public AwsKmsKey(VaultConfig config)
    {
        _key = config.KmsKey!;
        var settings = new AmazonKeyManagementServiceConfig { Timeout = Patience, MaxErrorRetry = 1, UseHttp = config.KmsEndpoint?.Scheme == "http" };
        // A key that is named in full says where it is.
        var region = config.Region ?? (_key.StartsWith("arn:", StringComparison.Ordinal) && _key.Split(':') is { Length: > 3 } parts ? parts[3] : null);
        if (region is not null)
        {
            settings.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }

        if (config.KmsEndpoint is { } endpoint)
        {
            settings.ServiceURL = endpoint.AbsoluteUri;
            settings.AuthenticationRegion = region ?? "us-east-1";
        }

        _client = AwsRole.Of(config.Role) is { } role ? new AmazonKeyManagementServiceClient(role, settings) : new AmazonKeyManagementServiceClient(settings);
    }

    public string Name => Prefix + _key;

    public string Description => $"the AWS KMS key {_key}";

    /// <summary>Any key of the service: what was wrapped says itself which one it was.</summary>
    public bool Knows(string wrappedBy) => wrappedBy.StartsWith(Prefix, StringComparison.Ordinal);

    public async ValueTask<byte[]> WrapAsync(uint number, ReadOnlyMemory<byte> key, CancellationToken cancel)
    {
        using var plain = new MemoryStream(key.ToArray());
        var answer = await AskAsync(() => _client.EncryptAsync(new EncryptRequest { KeyId = _key, Plaintext = plain, EncryptionContext = ContextOf(number) }, cancel), _key, number);
        return answer.CiphertextBlob.ToArray();
    }

    public async ValueTask<byte[]> UnwrapAsync(KeyRecord record, CancellationToken cancel)
    {
        var key = record.WrappedBy[Prefix.Length..];
        using var wrapped = new MemoryStream(record.Wrapped.ToArray());
        var answer = await AskAsync(
            () => _client.DecryptAsync(new DecryptRequest { KeyId = key, CiphertextBlob = wrapped, EncryptionContext = ContextOf(record.Number) }, cancel), key, record.Number);
        return answer.Plaintext.ToArray();
    }

    public void Dispose() => _client.Dispose();

    private static Dictionary<string, string> ContextOf(uint number) => new(StringComparer.Ordinal)
    {
        ["mooring:purpose"] = "data-key",
        ["mooring:number"] = number.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Tells a key that is wrong from a service that is away, or does not let the gateway in yet: somebody repairs that without knowing of us.</summary>
    private static async Task<T> AskAsync<T>(Func<Task<T>> ask, string key, uint number)
    {
        try
        {
            return await ask();
        }
        catch (Exception e) when (e is InvalidCiphertextException or IncorrectKeyException or NotFoundException or InvalidKeyUsageException)
        {
            throw new VaultKeyException($"The AWS KMS key {key} does not open data key {number} of the store ({e.GetType().Name}). Bring back the right one with vault.kmsKey. No new key is made while sealed rows are there.", e);
        }
        catch (Exception e) when (e is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException || (e is OperationCanceledException o && !o.CancellationToken.IsCancellationRequested))
        {
            var why = e is AmazonServiceException { ErrorCode.Length: > 0 } told ? told.ErrorCode : e.GetType().Name;
            throw new StoreException($"The AWS KMS key {key} cannot be asked for ({why}).", e);
        }
    }
}
