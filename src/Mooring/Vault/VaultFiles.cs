using Mooring.Configuration;

namespace Mooring.Vault;

/// <summary>Looks at the files that the vault's settings name, for <c>check</c> and before a start.</summary>
internal static class VaultFiles
{
    /// <summary>What is wrong, each with the setting below <c>vault</c> that names the file. Never holds anything of a file's content.</summary>
    public static IReadOnlyList<(string Setting, string Problem)> Problems(VaultConfig vault)
    {
        var problems = new List<(string, string)>();
        if (vault.KeyFile is { } file)
        {
            Add("keyFile", KeyProblem(file));
        }

        if (vault.Certificate is { } certificate)
        {
            Add("certificate", CertificateProblem(certificate));
        }

        for (var i = 0; i < vault.OldKeyFiles.Count; i++)
        {
            Add(ConfigPath.Item("oldKeyFiles", i), KeyProblem(vault.OldKeyFiles[i]));
        }

        for (var i = 0; i < vault.OldCertificates.Count; i++)
        {
            Add(ConfigPath.Item("oldCertificates", i), CertificateProblem(vault.OldCertificates[i]));
        }

        return problems;

        void Add(string setting, string? problem)
        {
            if (problem is not null)
            {
                problems.Add((setting, problem));
            }
        }
    }

    private static string? KeyProblem(string file) => FileKey.ProblemOf(file) is { } problem ? $"names {file}, which {problem}" : null;

    private static string? CertificateProblem(TlsConfig files) =>
        files.Cert.Length == 0 || files.Key.Length == 0 ? "needs both cert and key."
        : CertificateKey.TryRead(files, out _, out var problem) ? null : problem;
}
