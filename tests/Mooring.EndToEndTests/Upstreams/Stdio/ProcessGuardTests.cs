using System.Diagnostics;
using System.Globalization;
using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.EndToEndTests.Upstreams.Stdio;

/// <summary>No server outlives the gateway, however the gateway ends. A small host stands in for the gateway and is really killed.</summary>
public sealed class ProcessGuardTests
{
    private static readonly string[] Servers =
    [
        "exec sleep 1000", // one process
        "sleep 1000 & sleep 1000; true", // a grandchild in the group
        "setsid sleep 1000 & sleep 1000; true", // a grandchild that left the group
        "setsid sleep 1000 >/dev/null 2>&1 & setsid sh -c 'sleep 1000; true' & exec cat >/dev/null", // daemons that outlive the leader
        "trap '' TERM; sleep 1000; true", // deaf to SIGTERM, its child too
    ];

    // sleep; sh, sleep, sleep; the same; sleep, sh, sleep, cat; sh, sleep.
    private const int ProcessesOfServers = 1 + 3 + 3 + 4 + 2;

    [Fact]
    public async Task GatewayKilled_AllThatItsServersStarted_IsGone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var host = await Host.StartAsync(Servers);
        await host.UntilStartedAsync(ProcessesOfServers);

        host.Kill("KILL");

        await ProcessTable.UntilGoneAsync(host.Mark);
        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(host.Guard), () => $"guard {host.Guard} still there");
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    [InlineData("HUP")]
    public async Task GatewayEndedBySignal_AllThatItsServersStarted_IsGone(string signal)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var host = await Host.StartAsync(Servers);
        await host.UntilStartedAsync(ProcessesOfServers);

        host.Kill(signal);

        await ProcessTable.UntilGoneAsync(host.Mark);
    }

    [Fact]
    public async Task SignalsToTheGatewaysGroup_ReachNeitherGuardNorServers()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var host = await Host.StartAsync(["exec sleep 1000"]);
        await host.UntilStartedAsync(1);
        var server = Assert.Single(ProcessTable.WithEnvironment(host.Mark));

        Assert.NotEqual(ProcessTable.SessionOf(host.Id), ProcessTable.SessionOf(host.Guard));
        Assert.NotEqual(ProcessTable.SessionOf(host.Id), ProcessTable.SessionOf(server));
        foreach (var signal in new[] { "INT", "TERM", "HUP", "QUIT" })
        {
            await RunAsync("kill", "-s", signal, host.Guard.ToString(CultureInfo.InvariantCulture));
        }

        host.Kill("KILL");
        await ProcessTable.UntilGoneAsync(host.Mark);
    }

    [Fact]
    public async Task GuardKilled_AnotherTakesOver_AndKnowsAllServers()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        // These hide their mark, so that only the group can find them.
        await using var host = await Host.StartAsync(["exec env -i sleep 1001", "exec env -i sleep 1002"]);
        var first = host.Guard;
        await ProcessTable.UntilAsync(() => ProcessTable.WithEnvironment(host.Mark).Count == 0, () => "marks still there");
        var servers = ChildrenOf(host.Id).Where(id => id != first).ToList();
        Assert.Equal(2, servers.Count);

        await RunAsync("kill", "-s", "KILL", first.ToString(CultureInfo.InvariantCulture));
        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(first), () => "the first guard is still there");
        var second = await host.AskGuardUntilAsync(id => id != first);
        host.Kill("KILL");

        await ProcessTable.UntilAsync(() => !servers.Any(ProcessTable.IsAlive), () => "servers still there");
        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(second), () => "the second guard is still there");
    }

    [Fact]
    public async Task GatewayIsTheServerOfAnotherOne_ItsGuardIsNotTheOthersToEnd()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var outer = $"{ProcessGuard.MarkVariable}=outer{Random.Shared.NextInt64():x}.1";
        await using var host = await Host.StartAsync(["exec sleep 1000"], "env", outer);
        await host.UntilStartedAsync(1);

        // Our host alone is the outer gateway's; the guard must outlive it to end the server, which is ours.
        Assert.Equal([host.Id], ProcessTable.WithEnvironment(outer));
    }

    [Fact]
    public async Task GatewayStopsInOrder_NothingIsLeft_AndTheGuardEndsToo()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var host = await Host.StartAsync(Servers);
        await host.UntilStartedAsync(ProcessesOfServers);

        Assert.Equal("stopped", await host.StopAsync());

        Assert.Empty(ProcessTable.WithEnvironment(host.Mark));
        Assert.False(ProcessTable.IsAlive(host.Guard));
    }

    [Fact]
    public async Task GatewayIsProcessOne_StopsInOrder_AndLeavesNoZombies()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && await RunAsync("unshare", "--pid", "--fork", "--mount-proc", "true") == 0, "needs the right to make a process namespace");
        string[] servers = ["setsid sh -c 'sleep 0.3 & true' & sleep 0.2 & exec cat >/dev/null", "setsid sleep 1000 & sleep 1000 & exit 3"];
        await using var host = await Host.StartAsync(servers, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child");
        Assert.Equal(1, host.Id);

        // Left over: the host (its mark is not in its own environment) and cat; what the others orphaned falls to process 1.
        await ProcessTable.UntilAsync(
            () => ProcessTable.WithEnvironment(host.Mark).Select(ProcessTable.NameOf).SequenceEqual(["cat"], StringComparer.Ordinal),
            () => "there are " + string.Join(", ", ProcessTable.WithEnvironment(host.Mark).Select(ProcessTable.NameOf)));
        var processOne = Assert.Single(ChildrenOf(host.OuterId));
        await ProcessTable.UntilAsync(() => ProcessTable.ZombiesOf(processOne).Count == 0, () => $"{ProcessTable.ZombiesOf(processOne).Count} zombies");

        Assert.Equal("stopped", await host.StopAsync());
        Assert.Empty(ProcessTable.WithEnvironment(host.Mark));
    }

    [Theory]
    [InlineData("sh")]
    [InlineData("bash", "--posix")]
    [InlineData("busybox", "sh")]
    public async Task Script_EachShell_EndsWhatIsOurs_AndNoStranger(string shell, params string[] shellArguments)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var program = CommandLookup.FindSystemProgram(shell);
        Assert.SkipWhen(program is null, $"no {shell} here");
        var mark = $"test{Random.Shared.NextInt64():x}";
        using var ours = new Sleeper();
        using var removed = new Sleeper();
        using var stranger = new Sleeper(); // has the number of a group that was ours once
        using var marked = new Sleeper($"{mark}.7");
        using var guard = Start(OwnSession.StartInfo(program, [.. shellArguments, "-c", GuardScript.Text, "mooring-guard", mark]));

        await guard.StandardInput.WriteAsync(
            $"+ {removed.Id} {ProcessTable.StartTimeOf(removed.Id)}\n+ {ours.Id} {ProcessTable.StartTimeOf(ours.Id)}\n"
            + $"+ {stranger.Id} 12345\n+ 1 1\n+ 0 0\n- {removed.Id}\n- 99999999\n");
        guard.StandardInput.Close();
        await guard.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.False(ProcessTable.IsAlive(ours.Id));
        Assert.False(ProcessTable.IsAlive(marked.Id));
        Assert.True(ProcessTable.IsAlive(removed.Id));
        Assert.True(ProcessTable.IsAlive(stranger.Id));
    }

    private static Process Start(ProcessStartInfo info) => Process.Start(info) ?? throw new InvalidOperationException("not started");

    private static List<int> ChildrenOf(int id) =>
        [.. File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];

    private static async Task<int> RunAsync(string command, params string[] arguments)
    {
        using var process = Start(new ProcessStartInfo(command, arguments) { UseShellExecute = false, RedirectStandardError = true });
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }

    /// <summary>A process that leads a group of its own.</summary>
    private sealed class Sleeper : IDisposable
    {
        private readonly Process _process;

        public Sleeper(string? mark = null)
        {
            var info = OwnSession.StartInfo(CommandLookup.FindSystemProgram("sleep")!, ["1000"]);
            if (mark is not null)
            {
                info.Environment[ProcessGuard.MarkVariable] = mark;
            }

            _process = Start(info);
            SpinWait.SpinUntil(() => ProcessTable.NameOf(Id) == "sleep", TimeSpan.FromSeconds(30));
            Assert.Equal(Id, ProcessTable.GroupOf(Id));
        }

        public int Id => _process.Id;

        public void Dispose()
        {
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }

    /// <summary>The stand-in for a gateway.</summary>
    private sealed class Host : IAsyncDisposable
    {
        private readonly Process _process;

        private Host(Process process) => _process = process;

        public string Mark { get; private set; } = "";

        public int Guard { get; private set; }

        /// <summary>As the host itself sees it.</summary>
        public int Id { get; private set; }

        public int OuterId => _process.Id;

        public static async Task<Host> StartAsync(string[] scripts, params string[] before)
        {
            string[] line = [.. before, Path.Combine(AppContext.BaseDirectory, "GuardHost"), .. scripts];
            var host = new Host(Start(new ProcessStartInfo(line[0], line.Skip(1)) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true }));
            host.Mark = "MOORING_INSTANCE=" + await host.ReadAsync("mark");
            host.Guard = int.Parse(await host.ReadAsync("guard"), CultureInfo.InvariantCulture);
            host.Id = int.Parse(await host.ReadAsync("ready"), CultureInfo.InvariantCulture);
            return host;
        }

        public Task UntilStartedAsync(int processes) =>
            ProcessTable.UntilAsync(
                () => ProcessTable.WithEnvironment(Mark).Count == processes
                    && ProcessTable.WithEnvironment(Mark).All(id => ProcessTable.NameOf(id) is "sleep" or "sh" or "cat"),
                () => $"{ProcessTable.WithEnvironment(Mark).Count} of {processes} processes started");

        public void Kill(string signal) => _ = Start(new ProcessStartInfo("kill", ["-s", signal, _process.Id.ToString(CultureInfo.InvariantCulture)]));

        public async Task<int> AskGuardUntilAsync(Predicate<int> condition)
        {
            while (true)
            {
                await _process.StandardInput.WriteLineAsync("guard?");
                await _process.StandardInput.FlushAsync();
                var guard = int.Parse(await ReadAsync("guard"), CultureInfo.InvariantCulture);
                if (condition(guard))
                {
                    return guard;
                }

                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }

        /// <summary>Ends its input, waits, and gives its last line.</summary>
        public async Task<string?> StopAsync()
        {
            _process.StandardInput.Close();
            var last = await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
            await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, _process.ExitCode);
            return last;
        }

        public async ValueTask DisposeAsync()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
                await _process.WaitForExitAsync();
            }

            _process.Dispose();
        }

        private async Task<string> ReadAsync(string word)
        {
            var line = await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
            Assert.StartsWith(word + " ", line);
            return line![(word.Length + 1)..];
        }
    }
}
