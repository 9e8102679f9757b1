# Builds the gateway when its sources changed and runs it with the given arguments: ./mooring.ps1 run
# The working directory stays that of the caller, so relative paths mean what they say.
$ErrorActionPreference = 'Stop'

$root = $PSScriptRoot
$out = Join-Path $root '.build'
$current = Join-Path $out 'current'
$command = if ($env:OS -eq 'Windows_NT') { 'mooring.exe' } else { 'mooring' }

function Say([string] $text) { [Console]::Error.WriteLine("mooring: $text") }

# True when there is a build and nothing it is made of is newer. Directories count too: a deleted file changes only those.
function Test-Fresh {
    if (-not (Test-Path $current)) { return $false }
    $built = (Get-Content $current -TotalCount 1).Trim()
    if (-not (Test-Path (Join-Path (Join-Path $out $built) $command))) { return $false }
    $since = (Get-Item $current).LastWriteTimeUtc
    $parts = @('src', 'Directory.Build.props', 'Directory.Packages.props', 'global.json', 'mooring.ps1') | ForEach-Object { Join-Path $root $_ }
    $items = @(Get-Item $parts) + @(Get-ChildItem (Join-Path $root 'src') -Recurse |
        Where-Object { $_.FullName -notmatch '[\\/](bin|obj)([\\/]|$)' })
    return -not ($items | Where-Object { $_.LastWriteTimeUtc -gt $since } | Select-Object -First 1)
}

function Invoke-Dotnet([string[]] $arguments) {
    $script:buildLog = & dotnet @arguments 2>&1
    return $LASTEXITCODE -eq 0
}

function Publish-Gateway {
    $project = Join-Path $root 'src/Mooring.Host/Mooring.Host.csproj'
    $target = 'app-{0:yyyyMMddHHmmss}-{1}' -f [DateTime]::UtcNow, $PID
    # Analyzers are for whoever changes the sources, in the build of the solution, and take most of the compiler's time.
    $common = @('--nologo', '-v', 'quiet', '--artifacts-path', (Join-Path $out 'artifacts'), '--use-current-runtime', '-p:SelfContained=false', '-p:RunAnalyzers=false')
    # What changes while the build runs is newer than this, and built the next time.
    $began = [DateTime]::UtcNow
    Say 'building (once; again when the sources change) ...'
    # Compiled ahead, the first answer comes in half the time; where the compiler for that cannot be had, it works without.
    $ready = 'true'
    if (-not (Invoke-Dotnet (@('restore', $project) + $common + '-p:PublishReadyToRun=true'))) {
        $ready = 'false'
        if (-not (Invoke-Dotnet (@('restore', $project) + $common))) {
            $buildLog | ForEach-Object { [Console]::Error.WriteLine($_) }
            Say 'the packages could not be restored, see above.'
            exit 3
        }
    }
    $folder = Join-Path $out $target
    if (-not (Invoke-Dotnet (@('publish', $project) + $common + @('--no-restore', '-c', 'Release', "-p:PublishReadyToRun=$ready", '-o', $folder)))) {
        $buildLog | ForEach-Object { [Console]::Error.WriteLine($_) }
        Remove-Item $folder -Recurse -Force -ErrorAction SilentlyContinue
        Say 'the build failed, see above.'
        exit 3
    }
    # A gateway that runs from the last build loads files from there as it goes: that one is kept, older ones are not.
    $last = if (Test-Path $current) { (Get-Content $current -TotalCount 1).Trim() } else { '' }
    Set-Content -Path $current -Value $target
    (Get-Item $current).LastWriteTimeUtc = $began
    Get-ChildItem $out -Directory -Filter 'app-*' | Where-Object { $_.Name -ne $target -and $_.Name -ne $last } |
        Remove-Item -Recurse -Force -ErrorAction SilentlyContinue
}

if (-not (Test-Fresh)) {
    if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) {
        Say 'the .NET SDK is needed to build (version in global.json): https://dot.net'
        exit 3
    }
    New-Item -ItemType Directory -Force $out | Out-Null
    Publish-Gateway
}

if (-not $env:MOORING_HOME) { $env:MOORING_HOME = $root }
& (Join-Path (Join-Path $out (Get-Content $current -TotalCount 1).Trim()) $command) @args
exit $LASTEXITCODE
