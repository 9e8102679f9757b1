using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Browser;

/// <summary>What a real browser lets a page do: all that a client needs on an allowed origin, nothing on another.</summary>
public sealed class CrossOriginTests
{
    /// <summary>Initialises, calls a tool, and reads the first message of a stream, all with fetch.</summary>
    private const string Client = """
        async ({ url, other }) => {
          const send = (id, method, params, session) => fetch(url, {
            method: 'POST',
            headers: {
              'Content-Type': 'application/json',
              'Accept': 'application/json, text/event-stream',
              'MCP-Protocol-Version': '2025-11-25',
              ...(session ? { 'Mcp-Session-Id': session } : {}),
            },
            body: JSON.stringify({ jsonrpc: '2.0', ...(id ? { id } : {}), method, params }),
          });
          const hello = await send(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } });
          const session = hello.headers.get('Mcp-Session-Id');
          await hello.json();
          await send(0, 'notifications/initialized', {}, session);
          const called = await (await send(2, 'tools/call', { name: 'echo', arguments: { text: 'from a page' } }, session)).json();
          const stream = await fetch(url, { headers: { 'Accept': 'text/event-stream', 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-11-25' } });
          await fetch(other);
          const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
          let seen = '';
          while (!seen.includes('notifications/message')) {
            const { value, done } = await reader.read();
            if (done) break;
            seen += value;
          }
          await reader.cancel();
          return { session, text: called.result?.content?.[0]?.text, seen };
        }
        """;

    [Fact]
    public async Task PageOnAnAllowedOrigin_InitializesCallsAndReadsAStream()
    {
        await using var world = await World.StartAsync();
        var page = await world.OpenPageAsync(allowed: true);

        var result = await page.EvaluateAsync<System.Text.Json.JsonElement>(Client, world.Arguments);

        Assert.False(string.IsNullOrEmpty(result.GetProperty("session").GetString()), "The page cannot read Mcp-Session-Id.");
        Assert.Equal("from a page", result.GetProperty("text").GetString());
        Assert.Contains("said to pages", result.GetProperty("seen").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PageOnAForeignOrigin_CanDoNothing()
    {
        await using var world = await World.StartAsync();
        var page = await world.OpenPageAsync(allowed: false);

        var failure = await Assert.ThrowsAsync<PlaywrightException>(() => page.EvaluateAsync(Client, world.Arguments));

        Assert.Contains("Failed to fetch", failure.Message, StringComparison.Ordinal);
        Assert.Equal(0, world.Server.Initialized("page"));
        // Neither with a request that needs no preflight.
        var status = await page.EvaluateAsync<string>(
            "url => fetch(url, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: '{}' }).then(r => 'read ' + r.status, e => 'blocked')",
            world.Url.AbsoluteUri);
        Assert.Equal("blocked", status);
        Assert.Equal(
            "blocked",
            await page.EvaluateAsync<string>("url => fetch(url, { headers: { 'Accept': 'text/event-stream' } }).then(r => 'read ' + r.status, e => 'blocked')", world.Url.AbsoluteUri));
    }

    /// <summary>Initialises, calls a tool, opens a stream and leaves it (or not), ends the session and tries to go on; again and again.</summary>
    private const string Leaver = """
        async ({ url, rounds, leaves }) => {
          const send = (method, id, rpc, params, session) => fetch(url, {
            method,
            headers: {
              'Content-Type': 'application/json',
              'Accept': 'application/json, text/event-stream',
              'MCP-Protocol-Version': '2025-11-25',
              ...(session ? { 'Mcp-Session-Id': session } : {}),
            },
            ...(rpc ? { body: JSON.stringify({ jsonrpc: '2.0', ...(id ? { id } : {}), method: rpc, params }) } : {}),
          });
          const seen = [];
          for (let i = 0; i < rounds; i++) {
            const hello = await send('POST', 1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } });
            const session = hello.headers.get('Mcp-Session-Id');
            await hello.json();
            await (await send('POST', 2, 'tools/call', { name: 'echo', arguments: { text: 'from a page' } }, session)).json();
            const leaving = new AbortController();
            const stream = await fetch(url, { headers: { 'Accept': 'text/event-stream', 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-11-25' }, signal: leaving.signal });
            await stream.body.getReader().read();
            if (leaves) leaving.abort();
            const ended = await send('DELETE', 0, null, null, session);
            const after = await send('POST', 3, 'ping', {}, session);
            seen.push(`${ended.status} ${after.status}`);
          }
          return seen;
        }
        """;

    /// <summary>
    /// A browser that may store the stream repeats a DELETE on the same address once it has its answer, and the page sees the 404 of the
    /// second: the session it ended is gone.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task PageWithAStream_EndsItsSession_OnceAndForAll(bool leaves)
    {
        await using var world = await World.StartAsync();
        var page = await world.OpenPageAsync(allowed: true);

        var statuses = await page.EvaluateAsync<string[]>(Leaver, new { url = world.Url.AbsoluteUri, rounds = 20, leaves });

        Assert.Equal(Enumerable.Repeat("200 404", 20), statuses);
    }

    /// <summary>A gateway, its server, two sites that serve an empty page, and a browser. The test disposes it.</summary>
    private sealed class World : IAsyncDisposable
    {
        private readonly List<WebApplication> _sites = [];
        private GatewayProcess? _gateway;
        private Chromium? _chromium;

        public FaultyServer Server { get; private set; } = null!;

        public Uri Url => _gateway!.ServerUrl("up");

        /// <summary>The gateway, and the address that makes the server say something.</summary>
        public object Arguments => new { url = Url.AbsoluteUri, other = $"{_sites[0].Urls.Single()}/say" };

        public static async Task<World> StartAsync()
        {
            var world = new World { Server = await FaultyServer.StartAsync() };
            try
            {
                await world.StartSiteAsync();
                await world.StartSiteAsync();
                var config = GatewayProcess.Config(("up", GatewayProcess.Remote(world.Server.Url)));
                config["origins"] = new JsonArray(world._sites[0].Urls.Single());
                world._gateway = await GatewayProcess.StartAsync(config);
                world._chromium = await Chromium.StartAsync();
                return world;
            }
            catch
            {
                await world.DisposeAsync();
                throw;
            }
        }

        public async Task<IPage> OpenPageAsync(bool allowed)
        {
            var page = await _chromium!.NewPageAsync();
            await page.GotoAsync(_sites[allowed ? 0 : 1].Urls.Single());
            return page;
        }

        public async ValueTask DisposeAsync()
        {
            if (_chromium is not null)
            {
                await _chromium.DisposeAsync();
            }

            if (_gateway is not null)
            {
                await _gateway.DisposeAsync();
            }

            foreach (var site in _sites)
            {
                await site.DisposeAsync();
            }

            await Server.DisposeAsync();
        }

        private async Task StartSiteAsync()
        {
            var builder = WebApplication.CreateEmptyBuilder(new());
            builder.Services.AddRouting();
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var site = builder.Build();
            site.MapGet("/", context =>
            {
                context.Response.ContentType = "text/html";
                return context.Response.WriteAsync("<!doctype html><title>a page</title>");
            });
            site.MapGet("/say", () => Server.Log("said to pages"));
            await site.StartAsync();
            _sites.Add(site);
        }
    }
}
