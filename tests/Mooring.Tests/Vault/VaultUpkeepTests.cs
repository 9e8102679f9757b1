using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mooring.Stores.Memory;
using Mooring.Telemetry;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

/// <summary>The next data key, where it cannot be had: rows are sealed with the one before all the while, and somebody has to know.</summary>
public sealed class VaultUpkeepTests : IAsyncLifetime
{
    private static readonly TimeSpan s_rotateAfter = TimeSpan.FromDays(90);

    private readonly VaultFixture _vault = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _vault.DisposeAsync();

    [Fact]
    public async Task NextKey_CannotBeMade_IsSaidOncePerKindOfFailure_AndWhenItIsOver()
    {
        var memory = new MemoryStore(_vault.Clock);
        var store = new CuttableVault(memory);
        var opened = _vault.Make(memory, memory, store, vault => vault with { RotateAfter = s_rotateAfter });
        await opened.Seal.OpenAsync(TestContext.Current.CancellationToken);
        await using var services = new ServiceCollection().AddMetrics().AddSingleton<MooringMeter>().BuildServiceProvider();
        var metrics = new VaultMetrics(services.GetRequiredService<MooringMeter>());
        var providers = new Providers(opened.Config);
        using var http = new VaultHttp(_vault.Clock);
        using var tokens = new Tokens(
            new Credentials(opened.Keys, store), store, providers, new TokenRequests(http, _vault.Clock), metrics, _vault.Clock, _vault.Loggers.CreateLogger<Tokens>());
        await using var upkeep = new VaultUpkeep(opened.Seal, providers, opened.Keys, tokens, metrics, _vault.Clock, _vault.Loggers.CreateLogger<VaultUpkeep>());
        upkeep.Start();

        store.IsAway = true;
        _vault.Clock.Advance(s_rotateAfter + TimeSpan.FromDays(1));
        await PassAsync(() => Lines("VaultKeyNotRotated").Count > 0);
        await PassAsync(TimeSpan.FromMinutes(5));
        Assert.Contains("which is 91 days old", Assert.Single(Lines("VaultKeyNotRotated")), StringComparison.Ordinal);
        Assert.Empty(Lines("VaultKeyRotatedAtLast"));

        store.IsAway = false;
        await PassAsync(() => Lines("VaultKeyRotatedAtLast").Count > 0);
        Assert.Single(Lines("VaultKeyRotated:"));
        Assert.InRange(opened.Keys.Age!.Value, TimeSpan.Zero, TimeSpan.FromMinutes(10));
    }

    private List<string> Lines(string name) => [.. _vault.Log.Lines.Where(line => line.Contains(name, StringComparison.Ordinal))];

    private async Task PassAsync(TimeSpan time)
    {
        var until = _vault.Clock.GetUtcNow() + time;
        await PassAsync(() => _vault.Clock.GetUtcNow() >= until);
    }

    /// <summary>Moves the clock until something is so.</summary>
    private async Task PassAsync(Func<bool> isSo)
    {
        for (var step = 0; !isSo(); step++)
        {
            Assert.True(step < 2000, $"Waited in vain.\n{_vault.Log}");
            _vault.Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
