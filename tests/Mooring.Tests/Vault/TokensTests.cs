using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Vault.TokenReplicas;

namespace Mooring.Tests.Vault;

/// <summary>People's tokens: given out, refreshed in time, once, and by whoever is alive.</summary>
public sealed class TokensTests : IAsyncLifetime
{
    /// <summary>There is a row, and it does not open.</summary>
    private static readonly Token s_unreadable = new(TokenState.Broken, Why: "what the gateway keeps of it cannot be read");

    private TokenReplicas _replicas = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _replicas = await StartAsync();

    public ValueTask DisposeAsync() => _replicas.DisposeAsync();

    [Fact]
    public async Task Get_NeverLinked_SaysSo() =>
        Assert.Equal(new Token(TokenState.NotLinked), await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel));

    [Fact]
    public async Task Get_Fresh_IsGivenWithoutAskingTheProvider()
    {
        await _replicas.LinkAsync("ada");

        Assert.Equal("access of ada", (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).Value);
        Assert.Equal(TokenState.NotLinked, (await _replicas.B.Tokens.GetAsync(Of("bob"), Cancel)).State);
        Assert.Equal(0, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Get_DueButValid_IsGivenAtOnceAndRefreshedMeanwhile()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromMinutes(56));

        Assert.Equal("access of ada", (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value);
        await UntilAsync(async () => (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).Value == "access after first-ada", "the next token is there");

        Assert.Equal(1, _replicas.Provider.Asked);
        Assert.Contains("client_id=gateway", _replicas.Provider.Form, StringComparison.Ordinal);
        Assert.Contains("client_secret=gateway-secret", _replicas.Provider.Form, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refresh_ThousandUsersAtOnceOverThreeReplicas_IsOncePerToken()
    {
        const int users = 1000;
        await Task.WhenAll(Enumerable.Range(0, users).Select(i => _replicas.LinkAsync($"u{i}")));
        _replicas.Provider.Delay = TimeSpan.FromMilliseconds(300);
        _replicas.Clock.Advance(TimeSpan.FromHours(2));

        var tokens = await _replicas.PassAsync(
            Task.WhenAll(Enumerable.Range(0, users).SelectMany(i => _replicas.All.Select(replica => Task.Run(() => replica.Tokens.GetAsync(Of($"u{i}"), Cancel))))),
            "all tokens");

        Assert.All(tokens, token => Assert.Equal(TokenState.Usable, token.State));
        Assert.Equal(Enumerable.Range(0, users).SelectMany(i => Enumerable.Repeat($"access after first-u{i}", 3)), tokens.Select(token => token.Value));
        Assert.Equal(users, _replicas.Provider.Asked);
        Assert.All(_replicas.Provider.Used.Values, times => Assert.Equal(1, times));
        Assert.InRange(_replicas.Provider.MostUnderWay, 2, 3 * 64);
    }

    [Fact]
    public async Task RefreshDue_ByAllReplicasAtOnce_IsOncePerTokenAndLeavesOthersAlone()
    {
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => _replicas.LinkAsync($"u{i}")));
        await _replicas.LinkAsync("later", TimeSpan.FromDays(1));
        await _replicas.LinkAsync("never", refresh: null);
        _replicas.Clock.Advance(TimeSpan.FromMinutes(56));

        await _replicas.PassAsync(
            Task.WhenAll(_replicas.All.Select(async replica =>
            {
                await replica.Tokens.RefreshDueAsync(500, Cancel);
                return true;
            })),
            "the round of all three");

        Assert.Equal(200, _replicas.Provider.Asked);
        Assert.Equal("access after first-u7", (await _replicas.B.Tokens.GetAsync(Of("u7"), Cancel)).Value);
        Assert.Equal("access of later", (await _replicas.B.Tokens.GetAsync(Of("later"), Cancel)).Value);
    }

    [Fact]
    public async Task Refresh_ReplicaDiesBeforeItAsked_AnotherTakesTheLeaseOver()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        Assert.True(await _replicas.Memory.TryLeaseCredentialAsync(Of("ada"), 1, "dead", Tokens.Lease));
        var before = _replicas.Clock.GetUtcNow();

        var token = await _replicas.PassAsync(_replicas.B.Tokens.GetAsync(Of("ada"), Cancel), "the token");

        Assert.Equal("access after first-ada", token.Value);
        Assert.Equal(1, _replicas.Provider.Asked);
        Assert.InRange(_replicas.Clock.GetUtcNow() - before, Tokens.Lease, Tokens.Lease + TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Refresh_ReplicaIsKilledWhileTheProviderAnswers_AnotherAsksAndTheUserIsToldWhatIsTrue()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _replicas.Provider.Before = _ =>
        {
            _replicas.A.Store.IsDead = true;
            asked.TrySetResult();
            return Task.CompletedTask;
        };
        _ = _replicas.A.Tokens.GetAsync(Of("ada"), Cancel);
        await Limit.Of(asked.Task, "the first request");
        _replicas.Provider.Before = null;

        // The provider has spent the refresh token on the dead one. Nobody has the new one: only the user can help.
        var token = await _replicas.PassAsync(_replicas.B.Tokens.GetAsync(Of("ada"), Cancel), "the answer");

        Assert.Equal(TokenState.Broken, token.State);
        Assert.Equal(2, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Refresh_StoreDoesNotTakeTheNewToken_IsGivenMeanwhileAndWrittenWhenItDoes()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.A.Store.TakesNothing = true;

        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token")).Value);
        _replicas.Clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token again")).Value);
        _replicas.A.Store.TakesNothing = false;

        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.B.Tokens.GetAsync(Of("ada"), Cancel), "the token at another one")).Value);
        Assert.Equal(1, _replicas.Provider.Asked);
        Assert.Equal("first-ada+", (await _replicas.B.Credentials.FindAsync(Of("ada"), Cancel)).Credential!.RefreshToken);
        Assert.Contains("A new token of acme cannot be written", _replicas.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refresh_AnotherWasRefusedWhileTheNewTokenCouldNotBeWritten_TheNewTokenStays()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.A.Store.TakesNothing = true;
        await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token");

        // Its lease runs out, and what the other one has is spent.
        Assert.Equal(TokenState.Broken, (await _replicas.PassAsync(_replicas.B.Tokens.GetAsync(Of("ada"), Cancel), "the refusal")).State);
        _replicas.A.Store.TakesNothing = false;

        await _replicas.PassAsync(
            UntilAsync(async () => (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).Value == "access after first-ada", "the new token is there").ContinueWith(done => done.IsCompletedSuccessfully, TaskScheduler.Default),
            "the write");
        Assert.Equal(TokenState.Usable, (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).State);
        Assert.Equal(2, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Refresh_UserLinksAgainWhileTheNewTokenCannotBeWritten_TheNewLinkStays()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.A.Store.TakesNothing = true;
        await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token");
        var second = new Credential { AccessToken = "second", RefreshToken = "second-ada", Expires = _replicas.Clock.GetUtcNow().AddHours(1), Received = _replicas.Clock.GetUtcNow() };
        await _replicas.B.Credentials.ReplaceAsync(Of("ada"), second, Cancel);

        _replicas.A.Store.TakesNothing = false;
        await _replicas.PassAsync(Task.Run(async () => { await Task.Delay(TimeSpan.FromSeconds(3), _replicas.Clock, Cancel); return 0; }, Cancel), "its next tries");

        Assert.Equal("second", (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).Value);
        Assert.Equal("second", (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value);
    }

    [Fact]
    public async Task Refresh_InvalidGrant_IsBrokenForGoodUntilLinkedAgain()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.Provider.Says = (HttpStatusCode.BadRequest, """{"error":"invalid_grant"}""");

        var (asked, read) = (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the answer"), await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel));
        // Whoever asked, and whoever finds it so, can say why.
        Assert.All([asked, read, await _replicas.B.Tokens.RenewAsync(Of("ada"), "any", Cancel)], token => Assert.Equal((TokenState.Broken, "the provider does not renew its token: invalid_grant"), (token.State, token.Why)));
        Assert.Contains("acme takes a token back (invalid_grant)", _replicas.Log.ToString(), StringComparison.Ordinal);
        await _replicas.B.Tokens.RefreshDueAsync(10, Cancel);
        Assert.Equal(1, _replicas.Provider.Asked);

        _replicas.Provider.Says = null;
        await _replicas.LinkAsync("ada");
        Assert.Equal("access of ada", (await _replicas.B.Tokens.GetAsync(Of("ada"), Cancel)).Value);
    }

    [Theory]
    [InlineData(503, "busy")]
    [InlineData(200, "{}")]
    [InlineData(200, "[]")]
    [InlineData(400, """{"error":"invalid_client"}""")]
    [InlineData(429, """{"error":"slow_down"}""")]
    public async Task Refresh_ProviderFails_OldTokenIsGivenWhileItIsValidAndNothingIsLost(int status, string body)
    {
        await _replicas.LinkAsync("ada");
        _replicas.Provider.Says = ((HttpStatusCode)status, body);
        _replicas.Clock.Advance(TimeSpan.FromMinutes(56));

        Assert.Equal("access of ada", (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value);
        await UntilAsync(() => Task.FromResult(_replicas.Provider.Asked == 1), "it was asked");
        _replicas.Clock.Advance(TimeSpan.FromMinutes(5));
        var late = await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the answer");
        Assert.Equal(TokenState.Unavailable, late.State);
        Assert.DoesNotContain("ada", late.Why, StringComparison.Ordinal);

        _replicas.Provider.Says = null;
        _replicas.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token")).Value);
    }

    [Fact]
    public async Task Refresh_ProviderIsAway_IsAskedLessAndLess()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Provider.IsAway = true;
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        for (var i = 0; i < 600; i++)
        {
            Assert.Equal(TokenState.Unavailable, (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the answer")).State);
            _replicas.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        // After 0, 1, 3, 7, 15, 31, 63 and 123 s, and then once a minute.
        Assert.InRange(_replicas.Provider.Asked, 12, 19);
    }

    [Fact]
    public async Task Refresh_ProviderDoesNotAnswer_IsGivenUpAndItsLeaseFreed()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.Provider.Delay = TimeSpan.FromHours(1);

        var token = await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the answer");

        Assert.Equal(TokenState.Unavailable, token.State);
        Assert.Contains("did not answer within 20 s", token.Why, StringComparison.Ordinal);
        _replicas.Provider.Delay = TimeSpan.Zero;
        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.B.Tokens.GetAsync(Of("ada"), Cancel), "the token")).Value);
    }

    [Fact]
    public async Task Refresh_OfOneProvider_TouchesNoOther()
    {
        await _replicas.LinkAsync("ada");
        await _replicas.LinkAsync("ada", TimeSpan.FromDays(9), provider: "slack");
        await _replicas.LinkAsync("ada", TimeSpan.FromDays(9), provider: "hubspot");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));

        Assert.Equal("access after first-ada", (await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token")).Value);

        foreach (var provider in new[] { "slack", "hubspot" })
        {
            Assert.Equal((1, "access of ada"), (
                (await _replicas.Memory.FindCredentialAsync(Of("ada") with { Provider = provider }, Cancel))!.Version,
                (await _replicas.B.Tokens.GetAsync(Of("ada") with { Provider = provider }, Cancel)).Value));
        }
    }

    [Fact]
    public async Task Refresh_UserLinksAgainMeanwhile_TheNewLinkStays()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.Provider.Before = _ => _replicas.LinkAsync("ada", refresh: "second");

        var token = await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the token");

        Assert.Equal("access of ada", token.Value);
        var (kept, version, _) = await _replicas.A.Credentials.FindAsync(Of("ada"), Cancel);
        Assert.Equal(("second-ada", 2), (kept!.RefreshToken, version));
    }

    [Fact]
    public async Task Renew_ServerRefusesATokenThatSomebodyRenewedAlready_IsTheNewOneWithoutAskingAgain()
    {
        await _replicas.LinkAsync("ada");
        var refused = (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value!;

        var renewed = await _replicas.PassAsync(Task.WhenAll(_replicas.All.Select(replica => replica.Tokens.RenewAsync(Of("ada"), refused, Cancel))), "the tokens");

        Assert.All(renewed, token => Assert.Equal("access after first-ada", token.Value));
        Assert.Equal(1, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Renew_ServerRefusesEveryToken_AsksTheProviderOnceAMinute()
    {
        await _replicas.LinkAsync("ada");
        for (var call = 0; call < 10; call++)
        {
            var refused = (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value!;
            var renewed = await _replicas.PassAsync(_replicas.A.Tokens.RenewAsync(Of("ada"), refused, Cancel), "the answer");
            Assert.Equal(call == 0 ? TokenState.Usable : TokenState.Broken, renewed.State);
        }

        Assert.Equal(1, _replicas.Provider.Asked);
        Assert.Equal("access after first-ada", (await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel)).Value);

        _replicas.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("access after first-ada%2B", (await _replicas.PassAsync(_replicas.A.Tokens.RenewAsync(Of("ada"), "access after first-ada", Cancel), "the token")).Value);
        Assert.Equal(2, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Renew_ManyCallsAreRefusedAtOnce_AllGetTheNextOne()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Provider.Delay = TimeSpan.FromMilliseconds(300);

        var renewed = await _replicas.PassAsync(
            Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _replicas.A.Tokens.RenewAsync(Of("ada"), "access of ada", Cancel))), "the tokens");
        var late = await _replicas.A.Tokens.RenewAsync(Of("ada"), "access of ada", Cancel);

        Assert.All([.. renewed, late], token => Assert.Equal("access after first-ada", token.Value));
        Assert.Equal(1, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Refresh_OneProviderHangs_OthersAreAskedMeanwhile()
    {
        // More than there are places.
        await Task.WhenAll(Enumerable.Range(0, 100).Select(i => _replicas.LinkAsync($"u{i}")));
        await _replicas.LinkAsync("ada", provider: Other);
        _replicas.Provider.HangsAt = Name;
        _replicas.Clock.Advance(TimeSpan.FromHours(2));

        var hanging = Enumerable.Range(0, 100).Select(i => _replicas.A.Tokens.GetAsync(Of($"u{i}"), Cancel)).ToList();
        await UntilAsync(() => Task.FromResult(_replicas.Provider.MostUnderWay == 64), "all places are taken");

        Assert.Equal("access after first-ada", (await Limit.Of(_replicas.A.Tokens.GetAsync(Of("ada") with { Provider = Other }, Cancel), "the token")).Value);
        Assert.All(hanging, token => Assert.False(token.IsCompleted));
        _replicas.Provider.HangsAt = null;
        await _replicas.PassAsync(Task.WhenAll(hanging), "the end of those that hung");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RefreshDue_OneProviderHangsOrFails_OthersAreFoundHoweverManyAreDueThere(bool hangs)
    {
        await Task.WhenAll(Enumerable.Range(0, 30).Select(i => _replicas.LinkAsync($"u{i}", TimeSpan.FromMinutes(30))));
        await _replicas.LinkAsync("ada", provider: Other);
        (_replicas.Provider.HangsAt, _replicas.Provider.FailsAt) = (hangs ? Name : null, hangs ? null : Name);
        _replicas.Clock.Advance(TimeSpan.FromMinutes(56));

        // As many as are looked for at once are due at the one that hangs, and longer.
        var first = _replicas.A.Tokens.RefreshDueAsync(10, Cancel);
        await UntilAsync(() => Task.FromResult(_replicas.Provider.Asked == 10), "those of the first round are asked for");
        if (!hangs)
        {
            await Limit.Of(first, "the round that failed");
        }

        await Limit.Of(_replicas.A.Tokens.RefreshDueAsync(10, Cancel), "the next round");

        Assert.Equal("access after first-ada", (await _replicas.A.Tokens.GetAsync(Of("ada") with { Provider = Other }, Cancel)).Value);
        Assert.Equal(11, _replicas.Provider.Asked);
        Assert.Equal(!hangs, first.IsCompleted);

        // Once it is well again, its own are refreshed too.
        (_replicas.Provider.HangsAt, _replicas.Provider.FailsAt) = (null, null);
        await _replicas.PassAsync(first.ContinueWith(_ => true, TaskScheduler.Default), "the end of the first round");
        _replicas.Clock.Advance(TimeSpan.FromMinutes(2));
        await Limit.Of(_replicas.A.Tokens.RefreshDueAsync(500, Cancel), "the last round");
        Assert.Equal(31, _replicas.Provider.Used.Count);
    }

    [Fact]
    public async Task Row_MovedToAnotherUsersName_DoesNotOpen()
    {
        await _replicas.LinkAsync("ada");
        var row = (await _replicas.Memory.FindCredentialAsync(Of("ada"), Cancel))!;

        Assert.True(await _replicas.Memory.SaveCredentialAsync(row with { Key = Of("mallory") }));
        Assert.True(await _replicas.Memory.SaveCredentialAsync(row with { Key = Of("ada") with { Provider = "other" } }));
        Assert.True(await _replicas.Memory.SaveCredentialAsync(row with { Version = 2 }));

        Assert.Equal(s_unreadable, await _replicas.A.Tokens.GetAsync(Of("mallory"), Cancel));
        Assert.Equal(s_unreadable, await _replicas.A.Tokens.GetAsync(Of("ada") with { Provider = "other" }, Cancel));
        Assert.Equal(s_unreadable, await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel));
    }

    [Fact]
    public async Task Provider_NotConfiguredWhenATokenWasDue_AndBack_IsAskedAtOnce()
    {
        await _replicas.LinkAsync("ada");
        var before = _replicas.A.Config.Current;
        _replicas.A.Config.Replace(before with { Providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal) });
        _replicas.Clock.Advance(TimeSpan.FromHours(2));

        var token = await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel);
        var held = (await _replicas.Memory.FindCredentialAsync(Of("ada"), Cancel))!;
        Assert.Equal(TokenState.Unavailable, token.State);
        Assert.Contains("not in the configuration", token.Why, StringComparison.Ordinal);
        Assert.False(await _replicas.Memory.TryLeaseCredentialAsync(Of("ada"), held.Version, "somebody", TimeSpan.FromSeconds(1)));
        _replicas.A.Config.Replace(before);

        // One that did not hold it.
        foreach (var replica in _replicas.All.Reverse())
        {
            Assert.Equal("access after first-ada", (await replica.Tokens.GetAsync(Of("ada"), Cancel)).Value);
        }

        Assert.Equal(1, _replicas.Provider.Asked);
    }

    [Fact]
    public async Task Row_WrittenInClear_IsNoCredential()
    {
        var forged = new Credential { AccessToken = "forged", Received = FakeClock.Start }.ToBytes();

        Assert.True(await _replicas.Memory.SaveCredentialAsync(new CredentialRecord(Of("ada"), 1, forged, null)));

        Assert.Equal(s_unreadable, await _replicas.A.Tokens.GetAsync(Of("ada"), Cancel));
    }

    [Fact]
    public async Task Rows_AndLogs_HoldNoToken()
    {
        await _replicas.LinkAsync("ada");
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        _replicas.Provider.Says = (HttpStatusCode.BadRequest, """{"error":"invalid_request","error_description":"first-ada gateway-secret"}""");
        await _replicas.PassAsync(_replicas.A.Tokens.GetAsync(Of("ada"), Cancel), "the answer");
        var row = (await _replicas.Memory.FindCredentialAsync(Of("ada"), Cancel))!;
        var credential = (await _replicas.A.Credentials.FindAsync(Of("ada"), Cancel)).Credential!;

        Assert.True(SealedBody.IsSealed(row.Body.Span));
        foreach (var text in new[] { _replicas.Log.ToString(), credential.ToString(), new Token(TokenState.Usable, "access of ada").ToString(), new TokenClient("https://acme.test", "id", "gateway-secret").ToString() })
        {
            Assert.DoesNotContain("first-ada", text, StringComparison.Ordinal);
            Assert.DoesNotContain("access of ada", text, StringComparison.Ordinal);
            Assert.DoesNotContain("gateway-secret", text, StringComparison.Ordinal);
        }
    }

    private async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, $"Waited in vain until {what}.\n{_replicas.Log}");
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }
}
