using System.Net.Sockets;

namespace Mooring.Chaos.Clients;

/// <summary>
/// All clients of a round. Of each eight strict sessions one talks to the server on standard streams and two to the one without sessions; one speaks 2025-06-18 and one
/// 2025-03-26, whose clients cannot come back for the answer of a call, and one HTTP+SSE. They go by turns through each balancer. Beside the sessions there are
/// clients of 2026-07-28, one in eight at the server on standard streams and the others half at each over HTTP. Some of both kinds are built on the official
/// libraries. Made and disposed by the round.
/// </summary>
internal sealed class Crowd : IAsyncDisposable
{
    /// <summary>Processes for an eighth of the sessions, and everything else, on a machine that does other things too.</summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(3);

    /// <summary>The path to the server with sessions.</summary>
    public const string Web = "/servers/web/mcp";

    /// <summary>The path to the server on standard streams.</summary>
    public const string Local = "/servers/local/mcp";

    private const string Bare = "/servers/bare/mcp";

    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _end = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        // Below what the balancers keep: else a request now and then runs into a connection that is just being closed.
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(2),
        MaxConnectionsPerServer = int.MaxValue,
        ConnectCallback = ConnectAsync,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private readonly Conduct _conduct;
    private List<Task> _running = [];

    private readonly Func<OfficialClients>? _makeOfficial;
    private OfficialClients? _official;

    /// <param name="population">How many there are.</param>
    /// <param name="seed">Decides what each does.</param>
    /// <param name="balancers">Where they connect to.</param>
    /// <param name="conduct">What the round wants of them.</param>
    public Crowd(Population population, int seed, IReadOnlyList<Uri> balancers, Conduct conduct)
    {
        _conduct = conduct;
        _makeOfficial = population.Official > 0 ? () => new OfficialClients(population.Official, seed, balancers, Tally, conduct) : null;
        Stateless =
        [
            .. Enumerable.Range(0, population.Stateless).Select(index => new StatelessClient(
                index,
                new Uri(balancers[index / 2 % balancers.Count], index % 8 == 4 ? Local : index % 2 == 0 ? Web : Bare),
                hasTasks: index / 2 % 3 != 1,
                _http,
                Tally,
                conduct,
                new Random((seed * 100_003) + 50_000 + index),
                new Journal())),
        ];
        Sessions =
        [
            .. Enumerable.Range(0, population.Strict).Select(ISessionClient (index) =>
            {
                // The first of each pair of eights goes through the one balancer, the second through the other, so that both see every kind.
                var balancer = balancers[(index + (index / 8)) % balancers.Count];
                var random = new Random((seed * 100_003) + index);
                return index % 8 == 7
                    ? new LegacySession(index, new Uri(balancer, "/servers/web/sse"), _http, Tally, conduct, random, new Journal())
                    : new StrictSession(
                        index,
                        new Uri(balancer, index % 8 == 0 ? Local : index % 8 is 2 or 6 ? Bare : Web),
                        index % 8 == 3 ? "2025-06-18" : index % 8 == 4 ? StrictSession.March : "2025-11-25",
                        _http,
                        Tally,
                        conduct,
                        random,
                        new Journal());
            }),
        ];
    }

    public Tally Tally { get; } = new();

    public IReadOnlyList<ISessionClient> Sessions { get; }

    /// <summary>Those of 2026-07-28.</summary>
    public IReadOnlyList<StatelessClient> Stateless { get; }

    /// <summary>Whether a path leads to the server without sessions.</summary>
    public static bool IsBare(Uri endpoint) => endpoint.AbsolutePath == Bare;

    /// <summary>Starts all and waits until each has its session and its tools.</summary>
    public async Task StartAsync(CancellationToken cancel)
    {
        _running =
        [
            .. Sessions.Select(session => Task.Run(() => session.RunAsync(_stop.Token, _end.Token), CancellationToken.None)),
            .. Stateless.Select(client => Task.Run(() => client.RunAsync(_stop.Token, _end.Token), CancellationToken.None)),
        ];
        _official = _makeOfficial?.Invoke();
        await Task.WhenAll([.. Sessions.Select(session => session.Ready), .. Stateless.Select(client => client.Ready), _official?.Ready ?? Task.CompletedTask]).WaitAsync(StartLimit, cancel);
    }

    /// <summary>Has all finish what they began, and gives up on those that do not.</summary>
    public async Task StopAsync(CancellationToken cancel)
    {
        await _stop.CancelAsync();
        var all = Task.WhenAll([.. _running, _official?.StopAsync() ?? Task.CompletedTask]);
        var limit = Conduct.Patience + Conduct.Patience + _conduct.FaultsLast + TimeSpan.FromSeconds(30);
        await Task.WhenAny(all, Task.Delay(limit, cancel));
        await _end.CancelAsync();
        if (_official is not null)
        {
            await _official.DisposeAsync();
        }

        await all;
    }

    /// <summary>With a small buffer: else the kernel reads on for a reader who has stopped, and nobody behind it ever notices.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveBufferSize = 16 * 1024 };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // After a round that failed half-way some still wait until they may call.
        await _stop.CancelAsync();
        await _end.CancelAsync();
        await Task.WhenAll(_running);
        if (_official is not null)
        {
            await _official.DisposeAsync();
        }

        _http.Dispose();
        _stop.Dispose();
        _end.Dispose();
    }
}
