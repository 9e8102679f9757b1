using System.Net;
using Microsoft.AspNetCore.Http;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>How long a token works: what is remembered of it, what ends it, and what that ends.</summary>
public sealed class TokenLifeTests
{
    [Fact]
    public async Task Token_UsedAllTheTime_IsAskedAboutSeldom()
    {
        var asked = 0;
        await using var gateway = await StartAsync(made => made.Before = operation =>
        {
            asked += operation.StartsWith("FindAuthAsync", StringComparison.Ordinal) ? 1 : 0;
            return Task.CompletedTask;
        });
        var client = await gateway.ClientWithAsync(await gateway.KeyAsync());
        var before = asked;

        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
        }

        Assert.Equal(before, asked);
        gateway.Advance(Authenticator.Fresh);
        await client.TryAsync();
        await gateway.UntilAsync(() => asked == before + 1, "the store was asked again");
    }

    [Fact]
    public async Task Token_ThatIsKnown_CostsACallNothingInMemory()
    {
        await using var gateway = await StartAsync();
        var key = await gateway.KeyAsync();
        await gateway.ClientWithAsync(key);
        var authenticator = gateway.Get<Authenticator>();
        var context = new DefaultHttpContext();
        context.Request.Headers.Authorization = "Bearer " + key;
        Assert.Equal(TokenFound.Good, (await authenticator.FindAsync(context)).Found);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            await authenticator.FindAsync(context);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);
    }

    [Fact]
    public async Task Token_RevokedElsewhere_WorksNoLongerAfterFiveSeconds()
    {
        await using var gateway = await StartAsync();
        var key = await gateway.KeyAsync();
        var client = await gateway.ClientWithAsync(key);

        await RevokeAsync(gateway, key);
        gateway.Advance(TimeSpan.FromSeconds(4.9));

        Assert.Equal(HttpStatusCode.Unauthorized, await client.TryAsync());
    }

    [Fact]
    public async Task Token_RevokedElsewhereAndUsedMeanwhile_WorksNoLongerAfterFiveSeconds()
    {
        await using var gateway = await StartAsync();
        var key = await gateway.KeyAsync();
        var client = await gateway.ClientWithAsync(key);
        gateway.Advance(TimeSpan.FromSeconds(2.9));
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());

        await RevokeAsync(gateway, key);
        gateway.Advance(TimeSpan.FromSeconds(1.5));
        await client.TryAsync();
        gateway.Advance(TimeSpan.FromSeconds(3.4));

        Assert.Equal(HttpStatusCode.Unauthorized, await client.TryAsync());
    }

    [Fact]
    public async Task Store_Away_KnownTokensWorkForAsLongAsSessionsDo_AndOthersAre503()
    {
        FaultyStore? store = null;
        await using var gateway = await StartAsync(made => store = made);
        var (key, other) = (await gateway.KeyAsync(), await gateway.KeyAsync("ben"));
        var client = await gateway.ClientWithAsync(key);

        store!.IsAway = true;
        gateway.Advance(TimeSpan.FromSeconds(55));
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Get, "/mcp/status", other);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, true), (status, headers.Contains("Retry-After")));

        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await client.TryAsync());
        store.IsAway = false;
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
    }

    [Theory]
    [InlineData("2025-11-25", "/servers/one/mcp")]
    [InlineData("2024-11-05", "/servers/one/sse")]
    public async Task Token_Expires_ItsStreamEndsAsAuthExpired_AndTheNextRequestIs401(string version, string path)
    {
        await using var gateway = await StartAsync();
        var key = await gateway.KeyAsync("ann", TimeSpan.FromMinutes(1));
        var client = path.EndsWith("sse", StringComparison.Ordinal) ? gateway.NewClient(version, path).With(key) : await gateway.ClientWithAsync(key);
        using var stream = await gateway.ListenAsync(client);

        gateway.Advance(TimeSpan.FromSeconds(58));
        Assert.Equal(1, gateway.Streams.Count);
        await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");

        Assert.Contains(await gateway.MetricsAsync("mooring_stream_duration"), line => line.Contains("reason=\"auth_expired\"", StringComparison.Ordinal) && line.Contains("closed_by=\"gateway\"", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", key)).Status);
        Assert.Equal(0, gateway.Streams.Count);
    }

    [Fact]
    public async Task Token_ExpiresDuringACall_ItsSessionGoesOnWithTheNext_AndTheAnswerIsThere()
    {
        await using var gateway = await StartAsync();
        gateway.Upstream.Hold("slow");
        var client = await gateway.ClientWithAsync(await gateway.KeyAsync("ann", TimeSpan.FromMinutes(1)));
        var (stream, call) = await gateway.StreamedAsync(client);
        var primer = await stream.Events.NextAsync();
        await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromMinutes(2), "the end of the stream");

        call.Text("done");
        client.With(await gateway.KeyAsync("ann"));
        using var rest = await Limit.Of(client.GetAsync(stream.Events.LastEventId ?? primer!.Id), "the rest");

        Assert.NotNull((await rest.MessageAsync())["result"]);
    }

    [Fact]
    public async Task Token_Revoked_ItsOpenStreamEnds()
    {
        await using var gateway = await StartAsync();
        var key = await gateway.KeyAsync();
        var client = await gateway.ClientWithAsync(key);
        using var stream = await gateway.ListenAsync(client);

        await RevokeAsync(gateway, key);
        await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");

        Assert.Contains(await gateway.MetricsAsync("mooring_stream_duration"), line => line.Contains("reason=\"auth_expired\"", StringComparison.Ordinal));
    }

    /// <summary>Else nothing would end the streams of those that are not remembered.</summary>
    [Fact]
    public async Task Tokens_MoreThanAreRemembered_ThoseWithoutStreamsGo_AndTheStreamsOfAllOthersEndWithTheirToken()
    {
        await using var gateway = await StartAsync();
        gateway.Get<Authenticator>().Most = 2;
        var keys = new List<string>();
        var streams = new List<TestReply>();
        foreach (var user in new[] { "ann", "ben", "eve", "dan" })
        {
            gateway.Advance(TimeSpan.FromMilliseconds(10));
            keys.Add(await gateway.KeyAsync(user));
            var client = await gateway.ClientWithAsync(keys[^1]);
            if (user != "ben")
            {
                streams.Add(await gateway.ListenAsync(client));
            }
        }

        Assert.Equal(3, gateway.Streams.Count);
        foreach (var key in keys)
        {
            await RevokeAsync(gateway, key);
        }

        foreach (var stream in streams)
        {
            await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");
            stream.Dispose();
        }

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", keys[1])).Status);
    }

    [Fact]
    public async Task Token_PushedOutByOthers_WorksOn_AndHasNoStreamThatNobodyWouldEnd()
    {
        await using var gateway = await StartAsync();
        var authenticator = gateway.Get<Authenticator>();
        authenticator.Most = 1;
        var context = new DefaultHttpContext();
        context.Request.Headers.Authorization = "Bearer " + await gateway.KeyAsync();
        var (pushedOut, _) = await authenticator.FindAsync(context);

        await gateway.ClientWithAsync(await gateway.KeyAsync("ben"));

        // A request may have found it before.
        Assert.True(pushedOut!.Open().IsCancellationRequested);
        var (again, found) = await authenticator.FindAsync(context);
        Assert.Equal(TokenFound.Good, found);
        Assert.False(again!.Open().IsCancellationRequested);
    }

    [Fact]
    public async Task Token_RevokedByOnePerson_HasNobodyElseWaitForTheStore()
    {
        FaultyStore store = null!;
        await using var gateway = await SignInFixture.StartAsync(options: new FixtureOptions { Store = clock => store = new FaultyStore(clock) });
        var oauth = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await oauth.TokensAsync();
        var (other, _) = await oauth.TokensAsync(user: "ben");
        var (ann, ben) = (await gateway.ClientWithAsync(access), await gateway.ClientWithAsync(other));
        await ben.TryAsync();

        await oauth.RevokeAsync(refresh);
        store.IsAway = true;

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (await ben.TryAsync(), await ann.TryAsync()));
        store.IsAway = false;
        Assert.Equal(HttpStatusCode.Unauthorized, await ann.TryAsync());
    }

    [Fact]
    public async Task Tokens_OfManyOpenStreams_AreAskedAboutAFewAtATime()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(made => store = made);
        const int many = Authenticator.LooksAtOnce + 8;
        var streams = new List<TestReply>();
        for (var i = 0; i < many; i++)
        {
            streams.Add(await gateway.ListenAsync(await gateway.ClientWithAsync(await gateway.KeyAsync($"user {i}"))));
        }

        var (asked, held) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        store.Before = operation =>
        {
            if (!operation.StartsWith("FindAuthAsync", StringComparison.Ordinal))
            {
                return Task.CompletedTask;
            }

            Interlocked.Increment(ref asked);
            return held.Task;
        };
        gateway.Advance(TimeSpan.FromSeconds(10));

        await gateway.UntilAsync(() => Volatile.Read(ref asked) == Authenticator.LooksAtOnce, "as many are asked about as may be at once");
        held.SetResult();
        await gateway.UntilAsync(() => Volatile.Read(ref asked) == many, "the others are asked about");
        streams.ForEach(stream => stream.Dispose());
    }

    [Fact]
    public async Task TokenOfAClientWithoutSessions_Expires_ItsListeningEnds_AndItsCallIsAnswered()
    {
        await using var gateway = await StartAsync();
        gateway.Upstream.Hold("slow");
        var (listening, reply, call) = await StatelessAsync(gateway, await gateway.KeyAsync("ann", TimeSpan.FromMinutes(1)));

        await gateway.PassTimeAsync(listening.Events.RestAsync(), TimeSpan.FromMinutes(2), "the end of the listening");
        call.Text("done");

        // That version has no way back to an answer.
        Assert.NotNull((await reply.MessageAsync())["result"]);
        listening.Dispose();
        reply.Dispose();
    }

    [Fact]
    public async Task TokenOfAClientWithoutSessions_Revoked_ItsListeningAndItsCallEnd()
    {
        await using var gateway = await StartAsync();
        gateway.Upstream.Hold("slow");
        var key = await gateway.KeyAsync();
        var (listening, reply, call) = await StatelessAsync(gateway, key);

        await RevokeAsync(gateway, key);
        await gateway.PassTimeAsync(listening.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the listening");
        await Limit.Of(reply.Events.RestAsync(), "the end of the call's stream");

        await gateway.UntilAsync(() => call.Aborted.IsCancellationRequested, "the call was cancelled at its server");
        listening.Dispose();
        reply.Dispose();
    }

    [Fact]
    public async Task Key_WithoutAnEnd_Works()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientWithAsync(await gateway.KeyAsync());

        gateway.Advance(TimeSpan.FromHours(2));

        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
    }

    /// <summary>A stream that listens, and one with the answer to come of a call that its server has.</summary>
    private static async Task<(TestReply Listening, TestReply Reply, UpstreamExchange Call)> StatelessAsync(GatewayFixture gateway, string key)
    {
        var client = new StatelessClient(gateway.Http);
        (string, string?) shown = ("Authorization", "Bearer " + key);
        var listening = await Limit.Of(client.RequestAsync("subscriptions/listen", """{"notifications":{"toolsListChanged":true}}""", headers: shown), "the head of the stream");
        await listening.Events.MessageAsync();
        var calling = client.CallAsync("slow", headers: shown);
        var call = await gateway.Upstream.CallAsync();
        gateway.Advance(GatewayFixture.Grace);
        return (listening, await Limit.Of(calling, "the head of the answer"), call);
    }

    [Fact]
    public async Task Expired_AnotherReplicaSweeps_IsLeftToIt()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(s => store = s);
        var swept = 0;
        store.IsSweptByAnother = true;
        store.Before = operation =>
        {
            swept += operation == "ExpireAuthAsync" ? 1 : 0;
            return Task.CompletedTask;
        };
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(5), gateway.Clock), TimeSpan.FromMinutes(6), "time passed");
        Assert.Equal(0, swept);

        store.IsSweptByAnother = false;
        await gateway.UntilAsync(() => swept > 0, "it sweeps", TimeSpan.FromMinutes(2));
    }

    private static Task<GatewayFixture> StartAsync(Action<FaultyStore>? see = null) => AuthFixture.StartAsync(AuthFixture.Keys, new FixtureOptions
    {
        Store = clock =>
        {
            var store = new FaultyStore(clock);
            see?.Invoke(store);
            return store;
        },
    });

    private static async Task RevokeAsync(GatewayFixture gateway, string key) =>
        Assert.True(await gateway.Get<IAuthStore>().RemoveAuthAsync(AuthKind.ApiKey, Secret.KeyOf(key)));
}
