using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>A tmpfs of 24 MB, which only root may mount. The test that mounted it disposes it.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly TempFolder _folder = new();

    public string Path => _folder.Path;

    public static async Task<SmallDisk> MountAsync()
    {
        var disk = new SmallDisk();
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=24m", "none", disk.Path);
        return disk;
    }

    /// <summary>Takes every byte there is, again and again, until disposed: the store frees some when it tidies up.</summary>
    public Ballast Fill() => new(_folder.File("ballast"));

    public async ValueTask DisposeAsync()
    {
        await RunAsync("umount", Path);
        _folder.Dispose();
    }

    /// <summary>A folder on it that another user writes to.</summary>
    public async Task<string> FolderForAsync(string user)
    {
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(Path, user)).FullName;
        await RunAsync("chown", user, folder);
        return folder;
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        await using var process = ToolProcess.Start(program, arguments);
        Assert.True(await process.ExitAsync(Limit, CancellationToken.None) == 0, process.Describe($"{program} failed"));
    }
}

/// <summary>What takes the room of a disk until it is disposed.</summary>
internal sealed class Ballast : IAsyncDisposable
{
    private readonly CancellationTokenSource _over = new();
    private readonly string _file;
    private readonly Task _filling;

    public Ballast(string file)
    {
        _file = file;
        _filling = FillAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _filling;
        _over.Dispose();
        File.Delete(_file);
    }

    private async Task FillAsync()
    {
        await using var file = new FileStream(_file, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        var chunk = new byte[64 * 1024];
        while (!_over.IsCancellationRequested)
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

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }
    }
}
