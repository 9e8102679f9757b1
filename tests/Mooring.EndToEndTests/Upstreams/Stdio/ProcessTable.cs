using System.Globalization;
using System.Text;
using Xunit;

namespace Mooring.EndToEndTests.Upstreams.Stdio;

/// <summary>What /proc says, read apart from the code under test.</summary>
internal static class ProcessTable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Living processes, zombies left out, that have the text in their environment.</summary>
    public static List<int> WithEnvironment(string text) =>
        [.. AllIds().Where(id => ReadOrEmpty($"/proc/{id}/environ").Contains(text, StringComparison.Ordinal) && IsAlive(id))];

    public static bool IsAlive(int id) => Fields(id) is [not ("Z" or "X"), ..];

    public static int GroupOf(int id) => int.Parse(Fields(id)[2], CultureInfo.InvariantCulture);

    public static int SessionOf(int id) => int.Parse(Fields(id)[3], CultureInfo.InvariantCulture);

    public static string StartTimeOf(int id) => Fields(id)[19];

    public static string NameOf(int id) => ReadOrEmpty($"/proc/{id}/comm").Trim();

    public static List<int> ZombiesOf(int parent) =>
        [.. AllIds().Where(id => Fields(id) is ["Z", var owner, ..] && owner == parent.ToString(CultureInfo.InvariantCulture))];

    /// <summary>Waits until a condition holds, and says what it was waiting for when it does not.</summary>
    public static async Task UntilAsync(Func<bool> condition, Func<string> state)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"After {Patience.TotalSeconds} s: {state()}");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public static Task UntilGoneAsync(string mark) =>
        UntilAsync(
            () => WithEnvironment(mark).Count == 0,
            () => "still there: " + string.Join(", ", WithEnvironment(mark).Select(id => $"{id} {NameOf(id)}")));

    private static IEnumerable<int> AllIds() =>
        from folder in Directory.EnumerateDirectories("/proc")
        let name = Path.GetFileName(folder)
        where name.All(char.IsAsciiDigit)
        select int.Parse(name, CultureInfo.InvariantCulture);

    /// <summary>The fields of /proc/N/stat from the third (state) on.</summary>
    private static string[] Fields(int id)
    {
        var stat = ReadOrEmpty($"/proc/{id}/stat");
        return stat.Length == 0 ? [] : stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
    }

    private static string ReadOrEmpty(string file)
    {
        try
        {
            return Encoding.Latin1.GetString(File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
