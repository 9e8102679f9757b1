using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>What the vault keeps: data keys, whether rows are sealed, and credentials with the leases on their refresh.</summary>
public abstract partial class StoreContractTests
{
    private static readonly CredentialKey Ada = new("https://issuer.example", "ada\0@example", "google");

    private protected virtual IVaultStore VaultSide => (IVaultStore)_store;

    [Fact]
    public async Task AddKey_SameNumberTwice_TheFirstStays()
    {
        var first = Key(1, "one");
        Assert.True(await VaultSide.AddKeyAsync(first));
        Assert.False(await VaultSide.AddKeyAsync(Key(1, "other")));
        Assert.True(await VaultSide.AddKeyAsync(first));
        Assert.True(await VaultSide.AddKeyAsync(Key(2, "two")));

        Assert.Equal([Line(first), Line(Key(2, "two"))], (await VaultSide.LoadKeysAsync(Cancel)).Select(Line));
    }

    [Fact]
    public async Task RewrapKey_WrappedOtherwiseMeanwhile_ChangesNothing()
    {
        await VaultSide.AddKeyAsync(Key(1, "one", by: "old"));

        Assert.True(await VaultSide.RewrapKeyAsync(Key(1, "anew", by: "new"), "old"));
        Assert.False(await VaultSide.RewrapKeyAsync(Key(1, "late", by: "third"), "old"));
        Assert.True(await VaultSide.RewrapKeyAsync(Key(1, "anew", by: "new"), "old"));
        Assert.False(await VaultSide.RewrapKeyAsync(Key(7, "none", by: "new"), "old"));

        Assert.Equal(Line(Key(1, "anew", by: "new")), Line(Assert.Single(await VaultSide.LoadKeysAsync(Cancel))));
    }

    [Fact]
    public async Task BeginSealing_OnceOrTwice_IsRemembered()
    {
        Assert.False(await VaultSide.IsSealedAsync(Cancel));
        await VaultSide.BeginSealingAsync();
        await VaultSide.BeginSealingAsync();

        Assert.True(await VaultSide.IsSealedAsync(Cancel));
    }

    [Fact]
    public async Task SaveCredential_EveryField_ComesBackAndBelongsToThatPersonAndProviderAlone()
    {
        var saved = Credential(1, "secret", due: FakeClock.Start);
        Assert.True(await VaultSide.SaveCredentialAsync(saved));
        Assert.True(await VaultSide.SaveCredentialAsync(Credential(1, "no date") with { Key = Ada with { Provider = "slack" } }));

        Assert.Equal(Line(saved), Line(await VaultSide.FindCredentialAsync(Ada, Cancel)));
        Assert.Null((await VaultSide.FindCredentialAsync(Ada with { Provider = "slack" }, Cancel))!.Due);
        Assert.Null(await VaultSide.FindCredentialAsync(Ada with { Subject = "bob" }, Cancel));
        Assert.Null(await VaultSide.FindCredentialAsync(Ada with { Issuer = "" }, Cancel));

        Assert.Equal([Ada with { Provider = "google" }, Ada with { Provider = "slack" }], await VaultSide.ListCredentialsAsync(Cancel));

        await VaultSide.DeleteCredentialAsync(Ada);
        await VaultSide.DeleteCredentialAsync(Ada);

        Assert.Null(await VaultSide.FindCredentialAsync(Ada, Cancel));
        Assert.Equal([Ada with { Provider = "slack" }], await VaultSide.ListCredentialsAsync(Cancel));
    }

    [Fact]
    public async Task SaveCredential_NotTheNextVersion_ChangesNothing()
    {
        Assert.False(await VaultSide.SaveCredentialAsync(Credential(2, "none before")));
        Assert.True(await VaultSide.SaveCredentialAsync(Credential(1, "one")));
        Assert.False(await VaultSide.SaveCredentialAsync(Credential(1, "one again")));
        Assert.False(await VaultSide.SaveCredentialAsync(Credential(3, "three")));
        Assert.True(await VaultSide.SaveCredentialAsync(Credential(2, "two")));
        Assert.True(await VaultSide.SaveCredentialAsync(Credential(2, "two")));
        Assert.False(await VaultSide.SaveCredentialAsync(Credential(2, "another two")));

        Assert.Equal(Line(Credential(2, "two")), Line(await VaultSide.FindCredentialAsync(Ada, Cancel)));
    }

    [Fact]
    public async Task LeaseCredential_ManyAtOnce_ExactlyOneGetsIt()
    {
        await VaultSide.SaveCredentialAsync(Credential(1, "one"));

        var got = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => VaultSide.TryLeaseCredentialAsync(Ada, 1, $"r{i}", Long))));

        Assert.Single(got, true);
    }

    [Fact]
    public async Task LeaseCredential_HeldOverOrOfAnotherVersion_IsAsTheContractSays()
    {
        await VaultSide.SaveCredentialAsync(Credential(1, "one"));
        Assert.False(await VaultSide.TryLeaseCredentialAsync(Ada with { Subject = "nobody" }, 1, "a", Long));
        Assert.False(await VaultSide.TryLeaseCredentialAsync(Ada, 2, "a", Long));

        Assert.True(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "a", Long));
        Assert.True(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "a", Long));
        Assert.False(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "b", Long));
        await VaultSide.ReleaseCredentialAsync(Ada, "b");
        Assert.False(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "b", Long));
        await VaultSide.ReleaseCredentialAsync(Ada, "a");
        Assert.True(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "b", TimeSpan.Zero));
        Assert.True(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "c", Long));

        Assert.True(await VaultSide.SaveCredentialAsync(Credential(2, "two")));
        Assert.False(await VaultSide.TryLeaseCredentialAsync(Ada, 1, "d", Long));
        Assert.True(await VaultSide.TryLeaseCredentialAsync(Ada, 2, "d", Long));
    }

    [Fact]
    public async Task FindDueCredentials_SomeDue_GivesTheMostUrgentThatNobodyHolds()
    {
        foreach (var (provider, due) in new[] { ("late", 1), ("held", 2), ("soon", 3), ("later", 60) })
        {
            await VaultSide.SaveCredentialAsync(Credential(1, "x", FakeClock.Start + TimeSpan.FromMinutes(due)) with { Key = Ada with { Provider = provider } });
        }

        await VaultSide.SaveCredentialAsync(Credential(1, "x") with { Key = Ada with { Provider = "never" } });
        await VaultSide.TryLeaseCredentialAsync(Ada with { Provider = "held" }, 1, "a", Long);
        var before = FakeClock.Start + TimeSpan.FromMinutes(5);

        Assert.Equal([Ada with { Provider = "late" }, Ada with { Provider = "soon" }], await VaultSide.FindDueCredentialsAsync(before, 10, [], Cancel));
        Assert.Equal([Ada with { Provider = "late" }], await VaultSide.FindDueCredentialsAsync(before, 1, [], Cancel));

        await VaultSide.TryLeaseCredentialAsync(Ada with { Provider = "held" }, 1, "a", TimeSpan.Zero);

        Assert.Equal([Ada with { Provider = "soon" }], await VaultSide.FindDueCredentialsAsync(before, 1, ["late", "held", "unknown"], Cancel));
        Assert.Equal(["late", "held", "soon"], (await VaultSide.FindDueCredentialsAsync(before, 10, [], Cancel)).Select(key => key.Provider));
    }

    private static KeyRecord Key(uint number, string wrapped, string by = "file:1") => new(number, Utf8(wrapped), by, FakeClock.Start);

    private static CredentialRecord Credential(long version, string body, DateTimeOffset? due = null) => new(Ada, version, Utf8(body), due);

    private static string Line(KeyRecord key) => $"{key.Number} {Text(key.Wrapped)} {key.WrappedBy} {key.Created:O}";

    private static string Line(CredentialRecord? credential) =>
        credential is null ? "none" : $"{credential.Key} {credential.Version} {Text(credential.Body)} {credential.Due:O}";
}
