using Mooring.Configuration;

namespace Mooring.Host.Cli;

/// <summary>Prints what the loader found.</summary>
internal static class ConfigReport
{
    /// <summary>One line per problem, errors first, then how many.</summary>
    public static void Problems(ConfigResult result, TextWriter output)
    {
        if (result.Problems.Count == 0)
        {
            return;
        }

        if (result.File is { } file)
        {
            output.WriteLine($"{file}:");
        }

        foreach (var problem in result.Problems.OrderBy(p => p.Severity).ThenBy(p => p.Line ?? int.MaxValue))
        {
            output.WriteLine($"  {problem}");
        }

        if (result.Config is null)
        {
            var errors = result.Errors.Count();
            output.WriteLine($"{errors} {(errors == 1 ? "error" : "errors")} in the configuration.");
        }
    }
}
