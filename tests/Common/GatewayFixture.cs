using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mooring.Auth.Issuers;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Drain;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;
using Xunit;
using EventId = Microsoft.Extensions.Logging.EventId;

namespace Mooring.Tests;

/// <summary>
/// The whole gateway in memory: real composition, fake clock, fake servers, no sockets. <c>X-Test-User</c> on a request says who sends it;
/// without it everybody is anonymous. <c>X-Test-Address</c> says from where; without it everybody is on this machine.
/// </summary>
internal sealed class GatewayFixture : IAsyncDisposable
{
    /// <summary>Just over the grace: an undecided answer becomes a stream.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(600);

    private static readonly TimeSpan Beat = Heartbeat.Beat;

    private static readonly TimeSpan LongestTurn = TimeSpan.FromMilliseconds(25);

    private readonly WebApplication _app;

    private Task? _stopping;

    private GatewayFixture(WebApplication app, FakeClock clock, IReadOnlyList<FakeUpstream> upstreams, ConfigStore config, FixtureLog log)
    {
        _app = app;
        Clock = clock;
        Upstreams = upstreams;
        Config = config;
        LogLines = log;
        Http = app.GetTestServer().CreateClient();
        Http.Timeout = Timeout.InfiniteTimeSpan;
    }

    public FakeClock Clock { get; }

    public IReadOnlyList<FakeUpstream> Upstreams { get; }

    public FakeUpstream Upstream => Upstreams[0];

    public ConfigStore Config { get; }

    public FixtureLog LogLines { get; }

    public HttpClient Http { get; }

    /// <summary>The way to it for whoever has it as a server.</summary>
    public HttpMessageHandler NewHandler() => _app.GetTestServer().CreateHandler();

    public SessionTable Sessions => Get<SessionTable>();

    public StreamTable Streams => Get<StreamTable>();

    public CallRunner Runner => Get<CallRunner>();

    public GatewayDrain Drain => Get<GatewayDrain>();

    public T Get<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>Starts a gateway in front of the given servers (one, if none is given).</summary>
    public static async Task<GatewayFixture> StartAsync(FixtureOptions? options = null, params FakeUpstream[] upstreams)
    {
        options ??= new FixtureOptions();
        var clock = options.Clock ?? new FakeClock();
        upstreams = upstreams.Length == 0 ? [new FakeUpstream()] : upstreams;
        var config = new MooringConfig
        {
            Servers = [.. upstreams.Select(u => options.Server(new ServerConfig { Name = u.Name, Transport = ServerTransport.Http, Url = u.Url }))],
            Connectors = [.. options.Connectors.Select(c => new ConnectorConfig(c.Name, []))],
            Store = new StoreConfig { Kind = options.Directory is null ? StoreKind.Memory : StoreKind.Sqlite },
        };
        var store = new ConfigStore(options.Config(config), options.Directory ?? "");
        var log = new FixtureLog();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseTestServer();
        builder.Logging.ClearProviders().AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        builder.Services.AddSingleton<TimeProvider>(clock);
        if (options.Shared is { } shared)
        {
            builder.Services.AddSingleton<IStore>(shared.Store);
            builder.Services.AddSingleton(shared.Replicas);
            builder.Services.AddSingleton(shared.Store.Auth);
            builder.Services.AddSingleton(new PermitSource(shared.Store.Permits));
            builder.Services.AddSingleton<IStoreSignals>(shared.Signals);
        }
        else if (options.Store is { } wrap)
        {
            var made = wrap(clock);
            builder.Services.AddSingleton<IStore>(services => new MeasuredStore(made, "faulty", services.GetRequiredService<StoreMetrics>(), clock));
            if (made is FaultyStore faulty)
            {
                builder.Services.AddSingleton(faulty.Auth);
            }
        }

        builder.Services.AddSingleton(services => new UpstreamServices(
            store, clock, services.GetRequiredService<ProcessGuard>(), services.GetRequiredService<UpstreamMetrics>(), services.GetRequiredService<ILoggerFactory>())
        {
            Handler = () => new FakeNetwork(upstreams),
        });
        if (options.Others is { } others)
        {
            builder.Services.AddSingleton(new AuthHttp(clock) { Handler = () => others });
        }

        foreach (var connector in options.Connectors)
        {
            builder.Services.AddSingleton(connector);
        }

        options.Services(builder.Services);
        builder.Services.AddMooring(store);
        var app = builder.Build();
        app.Use((context, next) =>
        {
            context.Connection.RemoteIpAddress = context.Request.Headers["X-Test-Address"] is [{ Length: > 0 } address] ? IPAddress.Parse(address) : IPAddress.Loopback;
            if (context.Request.Headers["X-Test-User"] is [{ Length: > 0 } user])
            {
                var claim = new Claim("sub", user, ClaimValueTypes.String, issuer: "https://issuer.test");
                context.User = new ClaimsPrincipal(new ClaimsIdentity([claim], authenticationType: "test"));
            }

            return next(context);
        });
        app.MapMooring();
        await Limit.Of(app.StartAsync(), "the gateway to start");
        return new GatewayFixture(app, clock, upstreams, store, log);
    }

    /// <summary>A client that has said hello.</summary>
    public async Task<McpTestClient> ClientAsync(
        string version = "2025-11-25", string path = "/servers/one/mcp", string? user = null, string capabilities = "{}")
    {
        var client = NewClient(version, path, user);
        await client.InitializeAsync(capabilities);
        return client;
    }

    /// <summary>A client that has not said hello.</summary>
    public McpTestClient NewClient(string version = "2025-11-25", string path = "/servers/one/mcp", string? user = null) =>
        new(Http, path, version, user);

    /// <summary>Calls a held tool and lets the grace pass: the answer is an event stream, and the server has the call.</summary>
    public async Task<(TestReply Reply, UpstreamExchange Call)> StreamedAsync(McpTestClient client, string tool = "slow", string? id = null)
    {
        var posting = client.CallAsync(tool, id: id);
        var call = await Upstream.CallAsync();
        Advance(Grace);
        return (await Limit.Of(posting, "the head of the answer"), call);
    }

    /// <summary>Opens a GET stream.</summary>
    public async Task<TestReply> ListenAsync(McpTestClient client, string? lastEventId = null)
    {
        var reply = await Limit.Of(client.GetAsync(lastEventId), "the head of the GET stream");
        Assert.Equal(HttpStatusCode.OK, reply.Status);
        return reply;
    }

    /// <summary>Has the session tell its client something of its own accord.</summary>
    public void Tell(McpTestClient client, string data) =>
        Session(client).Outbox.Send(System.Text.Encoding.UTF8.GetBytes($$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"{{{data}}}"}}"""));

    public Session Session(McpTestClient client) => Sessions.All.Single(s => s.Id == client.SessionId);

    /// <summary>The lines of /metrics that begin with a name; a number of a counter is the last word of its line.</summary>
    public async Task<IReadOnlyList<string>> MetricsAsync(string name) =>
        [.. (await Limit.Of(Http.GetStringAsync("/metrics"), "the metrics")).Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal))];

    /// <summary>Moves the clock, beat by beat.</summary>
    public void Advance(TimeSpan by) => Clock.Advance(by);

    /// <summary>Waits for what needs time to pass: moves the clock in steps, at most <paramref name="atMost"/>, until the task is done.</summary>
    public async Task<T> PassTimeAsync<T>(Task<T> task, TimeSpan atMost, string what)
    {
        await UntilAsync(() => task.IsCompleted, what, atMost);
        return await task;
    }

    /// <inheritdoc cref="PassTimeAsync{T}"/>
    public async Task PassTimeAsync(Task task, TimeSpan atMost, string what)
    {
        await UntilAsync(() => task.IsCompleted, what, atMost);
        await task;
    }

    /// <summary>Waits until something is so; with <paramref name="atMost"/>, moving the clock meanwhile.</summary>
    public async Task UntilAsync(Func<bool> isSo, string what, TimeSpan atMost = default)
    {
        var began = TimeProvider.System.GetTimestamp();
        var passed = TimeSpan.Zero;
        var steps = 0;
        while (!isSo())
        {
            if (TimeProvider.System.GetElapsedTime(began) > Limit.Patience)
            {
                throw new TimeoutException($"Waited in vain until {what}.\n{LogLines}");
            }

            if (passed < atMost)
            {
                Clock.Advance(Beat);
                passed += Beat;
            }

            await TurnAsync(isSo);

            // Waits are short where things are told apart by seconds, and long where minutes pass: those go faster.
            if (++steps % (passed < TimeSpan.FromSeconds(10) || passed >= atMost ? 2 : 10) == 0 && !isSo())
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            }
        }
    }

    /// <summary>
    /// The others' turn between two steps of the clock: all that the step set going has begun, however slow the machine. Where tests beside this
    /// one keep the thread pool busy that may not come, so not for ever.
    /// </summary>
    private static async Task TurnAsync(Func<bool> isSo)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            for (var i = 0; i < 20 && !isSo(); i++)
            {
                await Task.Yield();
            }

            if (isSo() || ThreadPool.PendingWorkItemCount == 0 || TimeProvider.System.GetElapsedTime(began) > LongestTurn)
            {
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    /// <summary>Begins the stop as a host does that waits for what is under way.</summary>
    public Task StopAsync() => _stopping = _app.StopAsync(CancellationToken.None);

    /// <summary>Stops as a host that waits for nobody: nobody is told anything, the store is closed.</summary>
    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        var stopping = _stopping ?? _app.StopAsync(new CancellationToken(canceled: true));
        // As long as it takes: on a busy machine minutes may pass before it has begun to wait for something.
        await PassTimeAsync(stopping, TimeSpan.FromHours(1), "the gateway stopped");
        await _app.DisposeAsync();
    }
}

/// <summary>What a test wants otherwise.</summary>
internal sealed record FixtureOptions
{
    public FakeClock? Clock { get; init; }

    /// <summary>Where SQLite keeps its file; null: the memory store.</summary>
    public string? Directory { get; init; }

    public Func<MooringConfig, MooringConfig> Config { get; init; } = config => config;

    public Func<ServerConfig, ServerConfig> Server { get; init; } = server => server;

    /// <summary>Registers other parts before those of the gateway.</summary>
    public Action<Microsoft.Extensions.DependencyInjection.IServiceCollection> Services { get; init; } = _ => { };

    /// <summary>Systems that the gateway has built in.</summary>
    public IReadOnlyList<IConnector> Connectors { get; init; } = [];

    /// <summary>Issuers, identity providers and whoever else is asked about who may come in.</summary>
    public HttpMessageHandler? Others { get; init; }

    /// <summary>Another store, e.g. one that fails at will.</summary>
    public Func<TimeProvider, IStore>? Store { get; init; }

    /// <summary>A store that another gateway is on too; neither of them closes it.</summary>
    public SharedStore? Shared { get; init; }
}

/// <summary>The sides of one store that several gateways are on.</summary>
internal sealed record SharedStore(FaultyStore Store, IReplicaStore Replicas, LossySignals Signals)
{
    public static SharedStore On(TimeProvider clock)
    {
        var store = new FaultyStore(clock) { IsRemote = true };
        return new SharedStore(store, store.Replicas, new LossySignals());
    }

    /// <summary>The same store, but with faults of one gateway's own.</summary>
    public SharedStore Apart()
    {
        var store = new FaultyStore(Store);
        return this with { Store = store, Replicas = store.Replicas };
    }
}

/// <summary>Keeps what the gateway logged, for the message of a failing test.</summary>
internal sealed class FixtureLog : ILoggerProvider, ILogger
{
    private readonly Lock _gate = new();
    private readonly List<string> _lines = [];

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate)
            {
                return [.. _lines];
            }
        }
    }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            _lines.Add($"{logLevel} {eventId.Name}: {formatter(state, exception)} {exception}");
        }
    }

    public override string ToString() => string.Join('\n', Lines.TakeLast(40));

    public void Dispose()
    {
    }
}
