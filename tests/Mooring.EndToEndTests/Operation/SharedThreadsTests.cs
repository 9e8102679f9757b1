using System.Net;
using System.Net.Sockets;
using System.Text;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The threads on which sockets report serve all connections: whatever one of them brings, the others go on.</summary>
public sealed class SharedThreadsTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ServersThatNeverPause_HoldUpNobodyElse()
    {
        using var flood = new FloodingServer();
        await using var well = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(
            GatewayProcess.Config(("flood", GatewayProcess.Remote(flood.Url)), ("well", GatewayProcess.Remote(well.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("flood"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("well"));

        // More than there are threads that sockets report on.
        var floods = Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => client.TryCallAsync("any", "")).ToList();
        await flood.FloodsAsync(floods.Count).WaitAsync(Limit, Cancel);

        for (var call = 0; call < 20; call++)
        {
            Assert.Equal($"call {call}", await other.CallAsync("echo", $"call {call}").WaitAsync(Limit, Cancel));
        }

        Assert.All(floods, call => Assert.False(call.IsCompleted, "it still floods"));
    }

    [Fact]
    public async Task ClientsThatNeverPause_HoldUpNobodyElse()
    {
        await using var well = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("well", GatewayProcess.Remote(well.Url))));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("well"));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Cancel);

        // More than there are threads that sockets report on.
        var floods = Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => new FloodingClient(gateway.ServerUrl("well"), ending.Token)).ToList();
        await Task.WhenAll(floods.Select(flood => flood.IsFlooding)).WaitAsync(Limit, Cancel);

        for (var call = 0; call < 20; call++)
        {
            Assert.Equal($"call {call}", await other.CallAsync("echo", $"call {call}").WaitAsync(Limit, Cancel));
        }

        Assert.All(floods, flood => Assert.False(flood.HasEnded, "it still floods"));
        await ending.CancelAsync();
        await Task.WhenAll(floods.Select(flood => flood.Ended)).WaitAsync(Limit, Cancel);
    }

    [Fact]
    public async Task ServersThatTakeNothing_HoldUpNobodyElse()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a POSIX shell");
        const string Script = """
            read -r line; id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
            printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"deaf","version":"1"}}}\n' "$id"
            exec sleep 600
            """;
        // It takes its first line for initialize, whatever that is.
        var deaf = GatewayProcess.Command("/bin/sh", "-c", Script);
        deaf["protocol"] = "legacy";
        await using var well = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(
            GatewayProcess.Config(("deaf", deaf), ("well", GatewayProcess.Remote(well.Url))));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("well"));
        var clients = new List<McpClient>();
        try
        {
            // Each has a process of its own, and says more to it than a pipe holds, in messages that are handled in place.
            var calls = new List<Task>();
            for (var client = 0; client < 2 * Environment.ProcessorCount; client++)
            {
                clients.Add(await McpClient.ConnectAsync(gateway.ServerUrl("deaf")).WaitAsync(Limit, Cancel));
                calls.AddRange(Enumerable.Range(0, 6).Select(_ => clients[^1].TryCallAsync("any", new string('x', 30_000))));
            }

            for (var call = 0; call < 20; call++)
            {
                Assert.Equal($"call {call}", await other.CallAsync("echo", $"call {call}").WaitAsync(Limit, Cancel));
            }

            Assert.All(calls, call => Assert.False(call.IsCompleted, "it still waits"));
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public async Task LogThatNobodyReads_HoldsUpNobody()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a named pipe");
        using var folder = new TempFolder();
        var pipe = folder.File("log");
        await using (var made = ToolProcess.Start("mkfifo", [pipe]))
        {
            Assert.Equal(0, await made.ExitAsync(Limit, Cancel));
        }

        // Open at both ends, and never read.
        await using var held = new FileStream(pipe, FileMode.Open, FileAccess.ReadWrite);
        var script = folder.File("gateway.sh");
        await File.WriteAllTextAsync(script, $"#!/bin/sh\nexec '{await GatewayBinary.PathAsync()}' \"$@\" 2> '{pipe}'\n", Cancel);
        await using (var made = ToolProcess.Start("chmod", ["+x", script]))
        {
            Assert.Equal(0, await made.ExitAsync(Limit, Cancel));
        }

        await using var server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["logLevel"] = "trace";
        await using var gateway = await GatewayProcess.StartAsync(config, script);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));

        // Each brings several lines; the pipe holds 64 kB and the logger's queue 2,500.
        for (var call = 0; call < 2_000; call++)
        {
            Assert.Equal("on", await client.CallAsync("echo", "on").WaitAsync(Limit, Cancel));
        }
    }

    [Fact]
    public async Task SettingForSockets_IsNotHandedOnToServers()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a POSIX shell");
        var server = GatewayProcess.Command("/bin/sh", "-c", "echo \"sockets=[$DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS]\" >&2; exec cat");
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("shell", server)));

        await Wait.UntilAsync(() => gateway.Process.Errors.Contains("sockets=[", StringComparison.Ordinal), () => gateway.Process.Describe("the server was not started"));

        Assert.Contains("sockets=[]", gateway.Process.Errors, StringComparison.Ordinal);
    }

    /// <summary>Sends requests that are refused at once, each behind the other, as fast as they are taken, and reads every answer.</summary>
    private sealed class FloodingClient
    {
        private readonly TaskCompletionSource _flooding = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Uri _url;
        private readonly CancellationToken _ending;

        public FloodingClient(Uri url, CancellationToken ending)
        {
            _url = url;
            _ending = ending;
            Ended = FloodAsync();
        }

        /// <summary>Completes when some thousand requests have been answered.</summary>
        public Task IsFlooding => _flooding.Task;

        public Task Ended { get; }

        public bool HasEnded => Ended.IsCompleted;

        private async Task FloodAsync()
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, _url.Port, _ending);
                var stream = client.GetStream();
                await PauseAsync(stream);
                await Task.WhenAll(WriteAsync(stream), ReadAsync(stream));
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }

        /// <summary>A connection begins on the thread pool and stays there for as long as there is something to read; the first time there is not, it is left to the threads that wait.</summary>
        private async Task PauseAsync(NetworkStream stream)
        {
            var buffer = new byte[64 * 1024];
            for (var request = 0; request < 10; request++)
            {
                await stream.WriteAsync(Requests(1), _ending);
                Assert.True(await stream.ReadAsync(buffer, _ending) > 0);
            }
        }

        private byte[] Requests(int count)
        {
            const string Body = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"}}""";
            var one = $"POST {_url.AbsolutePath} HTTP/1.1\r\nHost: {_url.Authority}\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\n\r\n{Body}";
            return Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(one, count)));
        }

        private async Task WriteAsync(NetworkStream stream)
        {
            var many = Requests(300);
            while (true)
            {
                await stream.WriteAsync(many, _ending);
            }
        }

        private async Task ReadAsync(NetworkStream stream)
        {
            var buffer = new byte[64 * 1024];
            long read = 0;
            while (await stream.ReadAsync(buffer, _ending) is > 0 and var count)
            {
                read += count;
                if (read > 1_000_000)
                {
                    _flooding.TrySetResult();
                }
            }

            throw new InvalidOperationException("the gateway closed the connection");
        }
    }

    /// <summary>Answers each tool call with an event stream of comments, as fast as they are taken, without end.</summary>
    private sealed class FloodingServer : IDisposable
    {
        private static readonly byte[] Comments = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(":\n", 64 * 1024)));

        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _ending = new();
        private readonly SemaphoreSlim _flooding = new(0);

        public FloodingServer()
        {
            _listener.Start();
            _ = AcceptAsync();
        }

        public Uri Url => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/mcp");

        /// <summary>Completes when this many calls have been sent more than any buffer on the way holds.</summary>
        public async Task FloodsAsync(int count)
        {
            for (var flood = 0; flood < count; flood++)
            {
                await _flooding.WaitAsync(_ending.Token);
            }
        }

        public void Dispose()
        {
            _ending.Cancel();
            _listener.Dispose();
            _ending.Dispose();
            _flooding.Dispose();
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var client = await _listener.AcceptTcpClientAsync(_ending.Token);
                    _ = Task.Run(() => ServeAsync(client));
                }
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using (client)
            {
                try
                {
                    var stream = client.GetStream();
                    var buffer = new byte[64 * 1024];
                    while (await stream.ReadAsync(buffer, _ending.Token) is > 0 and var read)
                    {
                        // Requests here are small and come in one piece.
                        var request = Encoding.UTF8.GetString(buffer, 0, read);
                        if (request.Contains("\"tools/call\"", StringComparison.Ordinal))
                        {
                            await FloodAsync(stream);
                        }

                        await stream.WriteAsync(Encoding.UTF8.GetBytes(Answer(request)), _ending.Token);
                    }
                }
                catch (Exception e) when (e is IOException or OperationCanceledException)
                {
                    // The gateway went away, or the test is over.
                }
            }
        }

        private async Task FloodAsync(NetworkStream stream)
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"u8.ToArray(), _ending.Token);
            for (var sent = 0; ; sent++)
            {
                await stream.WriteAsync(Comments, _ending.Token);
                if (sent == 100)
                {
                    _flooding.Release();
                }
            }
        }

        private static string Answer(string request)
        {
            const string Head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            if (request.StartsWith("GET", StringComparison.Ordinal))
            {
                return "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
            }

            var at = request.IndexOf("\"id\":", StringComparison.Ordinal);
            if (at < 0)
            {
                return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
            }

            var id = string.Concat(request[(at + 5)..].TakeWhile(char.IsAsciiDigit));
            var result = request.Contains("\"initialize\"", StringComparison.Ordinal)
                ? """{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"flood","version":"1"}}"""
                : """{"tools":[]}""";
            var body = $$"""{"jsonrpc":"2.0","id":{{id}},"result":{{result}}}""";
            return $"{Head}Content-Length: {body.Length}\r\n\r\n{body}";
        }
    }
}
