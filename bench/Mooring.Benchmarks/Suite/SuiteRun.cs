using System.Net.Sockets;

namespace Mooring.Benchmarks.Suite;

/// <summary>Runs the cases one after the other and prints the report.</summary>
internal static class SuiteRun
{
    public static async Task<int> RunAsync(SuiteOptions options, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("mooring-bench-");
        var loadBefore = Conditions.Load();
        var report = new Report();
        var candidates = new Candidates(options, folder.FullName);
        var failed = false;
        try
        {
            (string Name, Func<CancellationToken, Task> Run)[] cases =
            [
                ("calls", new CallsCase(options, candidates, report).RunAsync),
                ("auth", new AuthCase(options, candidates, report).RunAsync),
                ("streams", new StreamsCase(options, candidates, report).RunAsync),
                ("start", new StartCase(options, candidates, report).RunAsync),
                ("stdio", new StdioCase(options, candidates, report).RunAsync),
                ("profile", new ProfileCase(options, candidates, report).RunAsync),
            ];
            foreach (var (name, run) in cases.Where(one => options.Wants(one.Name)))
            {
                try
                {
                    await run(cancellation);
                }
                catch (Exception error) when (error is InvalidDataException or InvalidOperationException or SocketException)
                {
                    // The other cases still tell something; the exit code tells that this one did not.
                    Console.Error.WriteLine($"{name}: {error.Message}");
                    report.AddFigure(name, "failed, see the output", "", "", "");
                    failed = true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Interrupted; each case has ended its servers on the way out.
            return 130;
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        var result = report.ToMarkdown(Conditions.Text(options, loadBefore));
        Console.WriteLine(result);
        if (options.Write is not null && !failed)
        {
            Report.Write(options.Write, result);
        }

        return failed ? 1 : 0;
    }
}
