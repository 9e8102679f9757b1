using System.Diagnostics;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>
/// Orders of magnitude: bounds ten times and more above what is measured where nothing else runs (docs/benchmarks.md). They find what has become many times slower or larger, and
/// nothing less. What counts is the gateway's own processor time: beside other tests the clock says nothing of it.
/// </summary>
public sealed class MagnitudeTests(Crowd crowd) : IClassFixture<Crowd>
{
    [Fact]
    public void Start_UntilTheFirstListIsAnswered_TakesSecondsOfTheProcessor() => Assert.InRange(crowd.Start.TotalSeconds, 0, 10);

    [Fact]
    public async Task Stream_OneOfAThousand_TakesLittleMemory()
    {
        await crowd.OpenAsync();

        Assert.InRange(crowd.BytesPerStream, 0, 150_000);
    }

    [Fact]
    public async Task KeepAlive_OneRoundOverAThousandStreams_TakesLittleOfTheProcessor()
    {
        await crowd.OpenAsync();
        // Whatever the opening left to do is done by then.
        await UntilSentAsync(Crowd.Streams);
        var before = crowd.ProcessorTime;

        await UntilSentAsync(Crowd.Streams);

        Assert.InRange((crowd.ProcessorTime - before).TotalSeconds, 0, 1);
    }

    [Fact]
    public async Task Calls_OfEightAtATime_AreHundredsInASecondOfTheProcessor()
    {
        // What runs often is compiled once more, so not the first ones.
        await CallAsync();
        var before = crowd.ProcessorTime;

        var calls = await CallAsync();

        Assert.InRange(calls / (crowd.ProcessorTime - before).TotalSeconds, 300, double.PositiveInfinity);
    }

    private async Task<int> CallAsync()
    {
        const int Workers = 8;
        const int Each = 50;
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => crowd.CallAsync(Each)));
        return Workers * Each;
    }

    private async Task UntilSentAsync(int comments)
    {
        var before = await crowd.SentAsync();
        await Wait.UntilAsync(async () => await crowd.SentAsync() >= before + comments, () => $"not {comments} comments were sent");
    }
}

/// <summary>One gateway for all of them, with streams once somebody wants them. Made and disposed by the test framework.</summary>
public sealed class Crowd : IAsyncLifetime
{
    public const int Streams = Sessions * StreamsPerSession;

    private const int Sessions = 250;
    private const int StreamsPerSession = 4;

    private readonly List<McpClient> _clients = [];
    private readonly List<SseStream> _streams = [];
    private FaultyServer _server = null!;
    private GatewayProcess _gateway = null!;
    private McpClient _caller = null!;

    /// <summary>Processor time of the process until its first list was answered.</summary>
    public TimeSpan Start { get; private set; }

    public long BytesPerStream { get; private set; }

    public TimeSpan ProcessorTime => Look(process => process.TotalProcessorTime);

    public async ValueTask InitializeAsync()
    {
        _server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(_server.Url)));
        config["keepAlive"] = new System.Text.Json.Nodes.JsonObject { ["interval"] = "1s" };
        _gateway = await GatewayProcess.StartAsync(config);
        _caller = await McpClient.ConnectAsync(_gateway.ServerUrl("up"));
        await _caller.ToolsAsync();
        Start = ProcessorTime;
    }

    public async Task OpenAsync()
    {
        if (_streams.Count > 0)
        {
            return;
        }

        var before = Look(process => process.WorkingSet64);
        for (var i = 0; i < Sessions; i++)
        {
            var client = await McpClient.ConnectAsync(_gateway.ServerUrl("up"));
            _clients.Add(client);
            _streams.AddRange(await Task.WhenAll(Enumerable.Range(0, StreamsPerSession).Select(_ => client.OpenAsync())));
        }

        BytesPerStream = (Look(process => process.WorkingSet64) - before) / Streams;
    }

    public async Task CallAsync(int times)
    {
        for (var i = 0; i < times; i++)
        {
            await _caller.CallAsync("echo", "x");
        }
    }

    public Task<double> SentAsync() => MetricsPage.SumAsync(_gateway, "mooring_keepalive_sent_total");

    public async ValueTask DisposeAsync()
    {
        _streams.ForEach(stream => stream.Dispose());
        _clients.ForEach(client => client.Dispose());
        _caller.Dispose();
        await _gateway.DisposeAsync();
        await _server.DisposeAsync();
    }

    private T Look<T>(Func<Process, T> at)
    {
        using var process = Process.GetProcessById(_gateway.Process.Id);
        return at(process);
    }
}
