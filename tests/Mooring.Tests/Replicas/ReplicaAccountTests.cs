using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Mooring.Tests.Routing;
using Mooring.Tests.Tasks;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Replicas;

/// <summary>Accounts that are linked, replaced or taken away at one replica while the session that uses them is open at another.</summary>
public sealed class ReplicaAccountTests : IDisposable
{
    private static readonly CredentialKey s_acme = new("", "", "acme");

    private readonly FakeUpstream _server = new() { HasGetStream = true };
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-accounts-").FullName;
    private readonly List<string?> _sent = [];

    public ReplicaAccountTests() => _server.Intercept = exchange =>
    {
        lock (_sent)
        {
            _sent.Add(exchange.Header("Authorization"));
        }

        return false;
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Account_TakenAwayAtAnotherReplica_ItsStreamAtTheServerEnds_AndItsClientIsTold()
    {
        await using var pair = await StartAsync();
        var (client, stream, server) = await UsedAtBAsync(pair);
        using var _ = stream;

        await pair.A.Get<Credentials>().DeleteAsync(s_acme, known: null);

        await pair.UntilAsync(() => server.WasLeft && _server.Sessions.Count == 0, "the server's stream and session are over");
        await ToldAsync(pair, stream);
        Assert.Contains("/connect/acme?ticket=", (string?)(await client.ResultAsync("echo"))["error"]!["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Account_LinkedAtAnotherReplica_TheClientIsTold_AndIsShownWhatItShows()
    {
        await using var pair = await StartAsync();
        var client = await pair.B.ClientAsync();
        using var stream = await pair.B.ListenAsync(client);
        Assert.NotNull((await client.AskAsync("tools/list"))["error"]);

        await LinkAsync(pair.A, "first");

        await ToldAsync(pair, stream);
        Assert.NotNull((await client.AskAsync("tools/list"))["result"]);
    }

    /// <summary>Both have the session in memory: what the one opens with the new account the other goes on with.</summary>
    [Fact]
    public async Task Account_ReplacedAtAnotherReplicaThatHasTheSessionToo_NeitherUsesTheOneBefore()
    {
        await using var pair = await StartAsync();
        var (client, stream, server) = await UsedAtBAsync(pair);
        using var _ = stream;
        var there = ReplicaPair.At(pair.A, client);
        Assert.Equal("nothing", (await there.ResultAsync("echo")).Text());
        var before = server.Session;

        await LinkAsync(pair.A, "second");
        await pair.UntilAsync(() => server.WasLeft, "the server's stream of before is over");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        lock (_sent)
        {
            _sent.Clear();
        }

        var count = _server.Requests.Count;
        Assert.Equal("nothing", (await there.ResultAsync("echo")).Text());
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.All(_sent, token => Assert.Equal("Bearer second", token));
        Assert.DoesNotContain(_server.Requests.Skip(count), exchange => exchange.Session == before);
        Assert.Single(_server.Sessions);
    }

    [Fact]
    public async Task Account_TakenAwayWhileSignalsAreLost_IsNoticedWithinAMinute()
    {
        await using var pair = await StartAsync();
        var (_, stream, server) = await UsedAtBAsync(pair);
        using var both = stream;
        pair.Store.Signals.LosesAll = true;

        await pair.A.Get<Credentials>().DeleteAsync(s_acme, known: null);

        await pair.A.UntilAsync(() => server.WasLeft, "the server's stream is over", TimeSpan.FromSeconds(70));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Task_OfAReplicaThatDied_IsGoneOnWithTheAccountItWasBegunWith_AndWithNoOther(bool isReplaced)
    {
        var server = new FakeUpstream().Hold("slow");
        await using var pair = await StartAsync(server);
        await LinkAsync(pair.A, "first");
        var posting = New(pair.A).CallAsync("slow");
        var call = await server.CallAsync();
        await call.RawAsync("id: e0\ndata:\n\n");
        var id = (string)(await pair.A.CreatedAsync(posting))["taskId"]!;
        await pair.UntilAsync(() => TaskOf(pair, id).Cursor is not null, "its place is kept");

        pair.StoreOfA.IsAway = true;
        if (isReplaced)
        {
            await LinkAsync(pair.B, "second");
            await FailedAsync(pair.B, id);
            Assert.DoesNotContain(server.Requests, exchange => exchange.Session == call.Session && exchange.Header("Authorization") == "Bearer second");
            return;
        }

        var get = await pair.B.PassTimeAsync(server.GetAsync(), TimeSpan.FromSeconds(30), "the other replica goes on");
        Assert.Equal(("e0", call.Session, "Bearer first"), (get.LastEventId, get.Session, get.Header("Authorization")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServersTask_OfAReplicaThatDied_IsAskedForWithTheAccountItWasMadeWith_AndWithNoOther(bool isReplaced)
    {
        var server = new TaskServer();
        await using var pair = await StartAsync(server.Fake);
        await LinkAsync(pair.A, "first");
        var id = (string)(await pair.A.CreatedAsync(New(pair.A).CallAsync("slow")))["taskId"]!;
        await pair.UntilAsync(() => TaskOf(pair, id).ServerTask is not null, "the server's task is kept");

        pair.StoreOfA.IsAway = true;
        if (isReplaced)
        {
            await LinkAsync(pair.B, "second");
            await FailedAsync(pair.B, id);
        }
        else
        {
            server.State = """{"status":"completed","result":{"content":[{"type":"text","text":"theirs"}]}}""";
            await pair.B.UntilTaskAsync(New(pair.B), id, "completed", TimeSpan.FromSeconds(30));
        }

        Assert.All(server.Asked("tasks/get"), asked => Assert.Equal("Bearer first", asked.Header("Authorization")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServersTask_AccountIsTakenAwayOrReplaced_IsAskedForNoMore_AndItsOutcomeIsUnknown(bool isReplaced)
    {
        var server = new TaskServer();
        await using var pair = await StartAsync(server.Fake);
        await LinkAsync(pair.A, "first");
        var id = (string)(await pair.A.CreatedAsync(New(pair.A).CallAsync("slow")))["taskId"]!;
        await pair.UntilAsync(() => server.Asked("tasks/get").Count > 0, "it is asked for");

        await (isReplaced ? LinkAsync(pair.A, "second") : pair.A.Get<Credentials>().DeleteAsync(s_acme, known: null));

        await FailedAsync(pair.A, id);
        Assert.All(server.Asked("tasks/get"), asked => Assert.Equal("Bearer first", asked.Header("Authorization")));
    }

    private static HeldTask TaskOf(ReplicaPair pair, string id) => pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken).AsTask().Result!;

    private static async Task FailedAsync(GatewayFixture gateway, string id)
    {
        var failed = await gateway.UntilTaskAsync(New(gateway), id, "failed", TimeSpan.FromSeconds(30));
        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);
    }

    private async Task<ReplicaPair> StartAsync(FakeUpstream? server = null)
    {
        var vault = new MemoryStore(new FakeClock());
        var key = Path.Combine(_folder, "vault.key");
        FileKey.Create(key);
        return await ReplicaPair.StartAsync(
            server ?? _server,
            config => config with
            {
                PublicUrl = new Uri("https://gateway.test"),
                Vault = new VaultConfig { KeyFile = key },
                Providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
                {
                    ["acme"] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway" },
                },
                Servers = [.. config.Servers.Select(server => server with { Auth = new ServerAuthConfig { Provider = "acme" } })],
            },
            services => services.AddSingleton<IVaultStore>(vault));
    }

    /// <summary>A client that is at the second replica, has used its account there, and listens.</summary>
    private async Task<(McpTestClient Client, TestReply Stream, UpstreamExchange Server)> UsedAtBAsync(ReplicaPair pair)
    {
        await LinkAsync(pair.B, "first");
        var client = await pair.B.ClientAsync();
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        var stream = await pair.B.ListenAsync(client);
        var server = await pair.B.PassTimeAsync(_server.GetAsync(), TimeSpan.FromSeconds(10), "it is listened to");
        return (client, stream, server.Stream());
    }

    private static Task LinkAsync(GatewayFixture gateway, string token) =>
        gateway.Get<Credentials>().ReplaceAsync(s_acme, new Credential { AccessToken = token, Received = gateway.Clock.GetUtcNow() }, TestContext.Current.CancellationToken);

    private static async Task ToldAsync(ReplicaPair pair, TestReply stream)
    {
        await pair.B.PassTimeAsync(UntilToldAsync(), TimeSpan.FromSeconds(10), "the client is told");

        async Task UntilToldAsync()
        {
            while ((string?)(await stream.Events.MessageAsync())["method"] != "notifications/tools/list_changed")
            {
            }
        }
    }
}
