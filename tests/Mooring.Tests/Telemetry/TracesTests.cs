using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Telemetry;

/// <summary>The activity of a call, as whoever listens to the source sees it.</summary>
public sealed class TracesTests
{
    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2025-06-18")]
    public async Task Call_ClientSendsATrace_IsOneActivityUnderIt_TaggedAsTheMetric(string version)
    {
        using var traces = new Traces();
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(version);

        await CallAsync(client, "echo", ("traceparent", traces.Parent), ("tracestate", "a=b"));

        var activity = Assert.Single(traces.Ended);
        Assert.Equal(("mooring.call", ActivityKind.Client), (activity.OperationName, activity.Kind));
        Assert.Equal((traces.TraceId, traces.SpanId, "a=b"), (activity.TraceId, activity.ParentSpanId, activity.TraceStateString));
        Assert.Equal("server=one outcome=result", string.Join(' ', activity.Tags.Select(tag => $"{tag.Key}={tag.Value}")));
        Assert.Equal(ActivityStatusCode.Unset, activity.Status);
    }

    [Fact]
    public async Task Call_FailsOrIsRecordedFirst_IsOneActivityEach_AndAFailureSaysSo()
    {
        using var traces = new Traces();
        await using var gateway = await StartAsync(new FixtureOptions { Server = s => s with { Commit = CommitRule.Durable } });
        var client = await gateway.ClientAsync();
        gateway.Upstream.Intercept = Refuses;

        await CallAsync(client, "echo", ("traceparent", traces.Parent));
        using var refused = await client.PostAsync("""{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"x"}}""", headers: [("traceparent", traces.Parent)]);
        await refused.MessageAsync();

        Assert.Equal(["result", "upstream_refused"], traces.Ended.Select(a => (string?)a.GetTagItem("outcome")));
        Assert.Equal([ActivityStatusCode.Unset, ActivityStatusCode.Error], traces.Ended.Select(a => a.Status));

        static bool Refuses(UpstreamExchange request)
        {
            if ((string?)request.Message?["method"] != "prompts/get")
            {
                return false;
            }

            request.Status(System.Net.HttpStatusCode.Forbidden);
            return true;
        }
    }

    [Fact]
    public async Task Call_TraceStandsInItsMeta_ThatCounts()
    {
        using var traces = new Traces();
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.CallAsync("echo", meta: $$"""{"traceparent":"{{traces.Parent}}"}""");
        await reply.MessageAsync();

        Assert.Equal(traces.SpanId, Assert.Single(traces.Ended).ParentSpanId);
    }

    private static async Task CallAsync(McpTestClient client, string tool, params (string, string)[] headers)
    {
        using var reply = await client.PostAsync($$$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{{tool}}}}","arguments":{}}}""", headers: headers);
        await reply.MessageAsync();
    }

    /// <summary>A gateway whose web server makes no activities of its own.</summary>
    private static Task<GatewayFixture> StartAsync(FixtureOptions? options = null) => GatewayFixture.StartAsync((options ?? new FixtureOptions()) with
    {
        Services = services => services.AddLogging(logging => logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None)),
    });

    /// <summary>Listens for the activities of one trace; those of other tests' calls are not made.</summary>
    private sealed class Traces : IDisposable
    {
        private readonly ActivityListener _listener;

        public Traces()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name == "Mooring",
                Sample = (ref ActivityCreationOptions<ActivityContext> options) => options.Parent.TraceId == TraceId ? ActivitySamplingResult.AllData : ActivitySamplingResult.None,
                ActivityStopped = Ended.Enqueue,
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public ActivityTraceId TraceId { get; } = ActivityTraceId.CreateRandom();

        public ActivitySpanId SpanId { get; } = ActivitySpanId.CreateRandom();

        public string Parent => $"00-{TraceId}-{SpanId}-01";

        public ConcurrentQueue<Activity> Ended { get; } = new();

        public void Dispose() => _listener.Dispose();
    }
}
