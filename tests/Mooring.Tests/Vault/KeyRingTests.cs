using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Vault;

/// <summary>Which key opens a store, which does not, and how keys are exchanged.</summary>
public sealed class KeyRingTests : IAsyncDisposable
{
    private readonly VaultFixture _fixture = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Open_FirstStart_MakesAKeyFileThatOnlyItsOwnerReads_AndSaysSo()
    {
        await _fixture.OpenAsync(await _fixture.OpenStoreAsync());

        Assert.True(File.Exists(_fixture.DefaultKey));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_fixture.DefaultKey));
        }

        Assert.Single(_fixture.Log.Lines, line => line.Contains("VaultKeyMade", StringComparison.Ordinal) && line.Contains(_fixture.DefaultKey, StringComparison.Ordinal));
        Assert.Single(Directory.EnumerateFiles(_fixture.Folder, "*vault.key*"));
    }

    [Fact]
    public async Task Open_SecondStart_ReadsWhatTheFirstSealed()
    {
        var store = await _fixture.OpenStoreAsync();
        await FillAsync(await _fixture.OpenAsync(store));

        await AssertReadableAsync(await _fixture.OpenAsync(store));
    }

    [Fact]
    public async Task OpenOfStranger_KeyThatNobodyKnows_IsLookedForOnceAMinute_AndNotLogged()
    {
        var row = new RowName("ticket", "there", "acme", 1);
        var store = await _fixture.OpenStoreAsync();
        var here = (await _fixture.OpenAsync(store)).Keys;
        var madeUp = here.SealAlways(row, "x"u8).ToArray();
        madeUp[5] = 99;
        Assert.Null(await here.TryOpenOfStrangerAsync(row, madeUp, Cancel));

        // Another replica begins with the next key.
        var next = (await _fixture.OpenAsync(store, vault => vault with { RotateAfter = TimeSpan.Zero })).Keys.SealAlways(row, "good"u8);
        Assert.Null(await here.TryOpenOfStrangerAsync(row, next, Cancel));
        _fixture.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("good"u8.ToArray(), (await here.TryOpenOfStrangerAsync(row, next, Cancel))!.Value.ToArray());

        madeUp[5] = 1;
        Assert.Null(await here.TryOpenOfStrangerAsync(row, madeUp.Reverse().ToArray(), Cancel));
        madeUp[^1] ^= 1;
        Assert.Null(await here.TryOpenOfStrangerAsync(row, madeUp, Cancel));
        Assert.DoesNotContain(_fixture.Log.Lines, line => line.Contains("SealedRowUnreadable", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_KeyFileIsGone_RefusesAndMakesNone()
    {
        var store = await _fixture.OpenStoreAsync();
        await FillAsync(await _fixture.OpenAsync(store));
        File.Delete(_fixture.DefaultKey);

        var refusal = await Assert.ThrowsAsync<VaultKeyException>(() => _fixture.OpenAsync(store));

        Assert.Contains(_fixture.DefaultKey, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", refusal.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_fixture.DefaultKey));
        Assert.Single(await store.LoadKeysAsync(Cancel));
    }

    [Fact]
    public async Task Open_AnotherKeyFile_RefusesAndNamesBoth()
    {
        var store = await _fixture.OpenStoreAsync();
        await FillAsync(await _fixture.OpenAsync(store));
        var (record, other) = (Assert.Single(await store.LoadKeysAsync(Cancel)), _fixture.MakeKey("other.key"));

        var refusal = await Assert.ThrowsAsync<VaultKeyException>(() => _fixture.OpenAsync(store, v => v with { KeyFile = other }));

        Assert.Contains(record.WrappedBy, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(other, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain((await File.ReadAllTextAsync(other, Cancel)).Trim(), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_RightKeyButChangedRow_Refuses()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var key = _fixture.MakeKey("a.key");
        await OpenOnAsync(memory, v => v with { KeyFile = key });
        var record = Assert.Single(await memory.LoadKeysAsync(Cancel));
        var changed = record.Wrapped.ToArray();
        changed[^1] ^= 1;
        await memory.RewrapKeyAsync(record with { Wrapped = changed }, record.WrappedBy);

        var refusal = await Assert.ThrowsAsync<VaultKeyException>(() => OpenOnAsync(memory, v => v with { KeyFile = key }));

        Assert.Contains("the row was changed", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_KeysAreGoneFromAStoreWithSealedRows_RefusesAndMakesNone()
    {
        var memory = new MemoryStore(_fixture.Clock);
        await memory.BeginSealingAsync();
        var key = _fixture.MakeKey("a.key");

        await Assert.ThrowsAsync<VaultKeyException>(() => OpenOnAsync(memory, v => v with { KeyFile = key }));

        Assert.Empty(await memory.LoadKeysAsync(Cancel));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64 at all")]
    [InlineData("c2hvcnQ=")]
    public async Task Open_FileHoldsNoKey_RefusesWithoutItsContent(string content)
    {
        var path = Path.Combine(_fixture.Folder, "bad.key");
        await File.WriteAllTextAsync(path, content, Cancel);

        var refusal = await Assert.ThrowsAsync<VaultKeyException>(() => OpenOnAsync(new MemoryStore(_fixture.Clock), v => v with { KeyFile = path }));

        Assert.Contains("openssl rand -base64 32", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(("keyFile", $"names {path}, which does not hold 32 bytes of base64. Make one with: openssl rand -base64 32"), Assert.Single(VaultFiles.Problems(new VaultConfig { KeyFile = path })));
    }

    [Fact]
    public async Task Open_WithTheNewKeyAndTheOldOne_RewrapsSoThatTheOldOneCanGo()
    {
        var store = await _fixture.OpenStoreAsync();
        var (old, next) = (_fixture.MakeKey("old.key"), _fixture.MakeKey("next.key"));
        var running = await _fixture.OpenAsync(store, v => v with { KeyFile = old });
        await FillAsync(running);

        // A replica that runs on with the old one, one that starts with both, and later one that has the new one alone.
        await AssertReadableAsync(await _fixture.OpenAsync(store, v => v with { KeyFile = next, OldKeyFiles = [old] }));
        await AssertReadableAsync(running);
        await running.Store.AppendEventAsync(Event(2, body: "by the one before"));
        var after = await _fixture.OpenAsync(store, v => v with { KeyFile = next });

        Assert.Equal(["secret", "by the one before"], await BodiesAsync(after));
        await Assert.ThrowsAsync<VaultKeyException>(() => _fixture.OpenAsync(store, v => v with { KeyFile = old }));
    }

    [Fact]
    public async Task Open_FromKeyFileToCertificate_AndToAnotherCertificate_ReadsEverything()
    {
        var store = await _fixture.OpenStoreAsync();
        var file = _fixture.MakeKey("a.key");
        await FillAsync(await _fixture.OpenAsync(store, v => v with { KeyFile = file }));
        var (first, second) = (MakeCertificate("first"), MakeCertificate("second"));

        await AssertReadableAsync(await _fixture.OpenAsync(store, v => v with { Certificate = first, OldKeyFiles = [file] }));
        await AssertReadableAsync(await _fixture.OpenAsync(store, v => v with { Certificate = second, OldCertificates = [first] }));
        await AssertReadableAsync(await _fixture.OpenAsync(store, v => v with { Certificate = second }));
        await Assert.ThrowsAsync<VaultKeyException>(() => _fixture.OpenAsync(store, v => v with { Certificate = first }));
    }

    [Fact]
    public async Task Rotate_DataKeyIsOld_NextOneSealsAndAllRowsStayReadable()
    {
        var store = await _fixture.OpenStoreAsync();
        var vault = await _fixture.OpenAsync(store, v => v with { RotateAfter = TimeSpan.FromDays(1) });
        var other = await _fixture.OpenAsync(store, v => v with { RotateAfter = TimeSpan.FromDays(1) });
        await FillAsync(vault);
        await vault.Keys.RotateAsync(Cancel);
        Assert.Single(await store.LoadKeysAsync(Cancel));

        _fixture.Clock.Advance(TimeSpan.FromDays(1));
        await vault.Keys.RotateAsync(Cancel);
        await vault.Store.AppendEventAsync(Event(2, body: "with the second"));

        Assert.Equal([1u, 2u], (await store.LoadKeysAsync(Cancel)).Select(key => key.Number));
        // The other replica meets a key that it does not know yet.
        Assert.Equal(["secret", "with the second"], await BodiesAsync(other));
        var raw = await store.ReadEventsAsync("session", "stream", 1, 1, Cancel);
        Assert.True(SealedBody.TryRead(raw[0].Body.Span, out var read));
        Assert.Equal(2u, read.Key);
    }

    [Fact]
    public async Task Open_TwoReplicasAtOnceOnAnEmptyStore_HaveOneKeyAndTheOtherFileIsTakenBack()
    {
        var memory = new MemoryStore(_fixture.Clock);
        await using var elsewhere = new VaultFixture();
        // The other one is first between this one's look and its own key.
        var slow = new Overtaken(memory, () => OpenOnAsync(memory, v => v, elsewhere));

        var refusal = await Assert.ThrowsAsync<VaultKeyException>(() => OpenOnAsync(slow, v => v));

        Assert.Contains("does not exist", refusal.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_fixture.DefaultKey));
        Assert.True(File.Exists(elsewhere.DefaultKey));
        Assert.Single(await memory.LoadKeysAsync(Cancel));
    }

    private static async Task FillAsync(OpenedVault vault)
    {
        await vault.Store.SaveSessionAsync(Session());
        await vault.Store.OpenStreamAsync(Call(), Event(1, body: "secret"));
    }

    private static async Task AssertReadableAsync(OpenedVault vault) => Assert.Equal("secret", (await BodiesAsync(vault))[0]);

    private static async Task<IReadOnlyList<string>> BodiesAsync(OpenedVault vault) =>
        [.. (await vault.Store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(known => Text(known.Body))];

    private async Task<OpenedVault> OpenOnAsync(IVaultStore keys, Func<VaultConfig, VaultConfig> vault, VaultFixture? fixture = null)
    {
        var memory = new MemoryStore(_fixture.Clock);
        var opened = (fixture ?? _fixture).Make(memory, memory, keys, vault);
        await opened.Seal.OpenAsync(Cancel);
        return opened;
    }

    private TlsConfig MakeCertificate(string name)
    {
        using var rsa = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(FakeClock.Start, FakeClock.Start + TimeSpan.FromDays(1));
        var files = new TlsConfig(Path.Combine(_fixture.Folder, $"{name}.crt"), Path.Combine(_fixture.Folder, $"{name}.pem"));
        File.WriteAllText(files.Cert, certificate.ExportCertificatePem());
        File.WriteAllText(files.Key, rsa.ExportPkcs8PrivateKeyPem());
        return files;
    }

    /// <summary>A store in which another replica writes just before this one's first key.</summary>
    private sealed class Overtaken(MemoryStore inner, Func<Task> first) : IVaultStore
    {
        public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) => inner.LoadKeysAsync(cancel);

        public async Task<bool> AddKeyAsync(KeyRecord key)
        {
            await first();
            return await inner.AddKeyAsync(key);
        }

        public Task<bool> RewrapKeyAsync(KeyRecord key, string before) => inner.RewrapKeyAsync(key, before);

        public Task<bool> IsSealedAsync(CancellationToken cancel) => inner.IsSealedAsync(cancel);

        public Task BeginSealingAsync() => inner.BeginSealingAsync();

        public ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel) => inner.FindCredentialAsync(key, cancel);

        public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) => inner.ListCredentialsAsync(cancel);

        public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel) => inner.FindDueCredentialsAsync(before, limit, except, cancel);

        public Task<bool> SaveCredentialAsync(CredentialRecord credential) => inner.SaveCredentialAsync(credential);

        public Task DeleteCredentialAsync(CredentialKey key) => inner.DeleteCredentialAsync(key);

        public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease) => inner.TryLeaseCredentialAsync(key, version, holder, lease);

        public Task ReleaseCredentialAsync(CredentialKey key, string holder) => inner.ReleaseCredentialAsync(key, holder);
    }
}
