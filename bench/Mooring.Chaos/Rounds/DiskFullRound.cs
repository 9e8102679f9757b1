using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;
using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos.Rounds;

/// <summary>
/// The disk under the embedded store is full for a while. A small tmpfs stands for it, which only root may mount. Somebody reads the
/// database meanwhile, as a backup does: else the store goes on in the room that its log already has, and no write fails.
/// </summary>
internal sealed class DiskFullRound : Round
{
    private const string WritesFail = "Writing to the store fails";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _disk = Directory.CreateTempSubdirectory("mooring-chaos-disk-");
    private bool _mounted;

    public override string Name => "disk-full";

    public override string Title => "disk full under SQLite for 20 s";

    public override StandShape Shape => new(Replicas: 1) { Prepare = MountAsync };

    public override Conduct Conduct { get; } = new() { FaultsLast = TimeSpan.FromSeconds(20) };

    public override string? Obstacle =>
        Environment.UserName != "root" ? "only root may mount the small disk" : File.Exists("/usr/bin/sqlite3") ? null : "sqlite3 is not installed";

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var ballast = Path.Combine(_disk.FullName, "ballast");
        await using (var reader = ToolProcess.Start("/usr/bin/sqlite3", ["-batch", "-readonly", Path.Combine(_disk.FullName, "data", "mooring.db")]))
        {
            await reader.SayAsync("begin; select 'reads', count(*) from sqlite_master;");
            await reader.FirstLineAsync(Limit, cancel);
            using var lasts = field.Conduct.Faults.Begin();
            await FillAsync(ballast, field, cancel);
            File.Delete(ballast);
        }

        field.ShowSaid(WritesFail);
        await field.WaitAsync(15, 3, cancel);
    }

    public override async Task ClearAsync()
    {
        if (_mounted)
        {
            await RunAsync("umount", _disk.FullName);
        }

        _disk.Delete();
    }

    /// <summary>Takes every byte there is, again and again: the store frees some when it tidies up.</summary>
    private static async Task FillAsync(string ballast, Field field, CancellationToken cancel)
    {
        var over = field.WaitAsync(20, 5, cancel);
        await using var file = new FileStream(ballast, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        var chunk = new byte[64 * 1024];
        while (!over.IsCompleted)
        {
            // Big pieces first, then what is left beside them.
            foreach (var size in new[] { chunk.Length, 4096, 1 })
            {
                try
                {
                    while (true)
                    {
                        file.Write(chunk.AsSpan(0, size));
                    }
                }
                catch (IOException)
                {
                    // Full, which is what was wanted.
                }
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), cancel);
        }

        await over;
    }

    private async Task MountAsync(string dataFolder)
    {
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=96m", "none", _disk.FullName);
        _mounted = true;
        Directory.Delete(dataFolder);
        var data = Directory.CreateDirectory(Path.Combine(_disk.FullName, "data"));
        Directory.CreateSymbolicLink(dataFolder, data.FullName);
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        await using var process = ToolProcess.Start(program, arguments);
        if (await process.ExitAsync(Limit, CancellationToken.None) != 0)
        {
            throw new InvalidOperationException(process.Describe($"{program} failed"));
        }
    }
}
