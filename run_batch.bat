@echo off
rem Makes subtitles: run_batch.bat [FOLDER] [OPTIONS]. A double click works on the samples.
rem Finds a Python; run_batch.py, beside this file, makes the base environment and runs the batch.
rem No delayed expansion, no blocks in parentheses: folders may be called "a & b! (c)".
setlocal DisableDelayedExpansion
set "HERE=%~dp0"
set "STATUS=4"
set "PYTHONDONTWRITEBYTECODE="
set "PYTHONHOME="
set "PYTHONPATH="
set "CHECK=import sys; sys.exit(sys.version_info < (3, 11))"
set "PYTHON=%HERE%.venv\Scripts\python.exe"
if exist "%HERE%.venv\ready" if exist "%PYTHON%" goto own

py -3 -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto launcher
python -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto python
uv --version >nul 2>nul
if "%ERRORLEVEL%"=="0" goto uv
echo error: no Python 3.11 or later was found>&2
echo   what to do: install Python from https://www.python.org/downloads/ and let it be added to>&2
echo   PATH, or uv from https://docs.astral.sh/uv/, then run this again.>&2
goto end

:own
"%PYTHON%" "%HERE%run_batch.py" %*
set "STATUS=%ERRORLEVEL%"
if "%STATUS%"=="103" echo   what to do: delete the folder .venv beside run_batch.bat, then run this again.>&2
goto end

:launcher
py -3 "%HERE%run_batch.py" %*
set "STATUS=%ERRORLEVEL%"
goto end

:python
python "%HERE%run_batch.py" %*
set "STATUS=%ERRORLEVEL%"
goto end

:uv
uv run --no-project --isolated --python ">=3.11" "%HERE%run_batch.py" %*
set "STATUS=%ERRORLEVEL%"

:end
rem A double click opens a window for this file alone: keep it until the end has been read.
if defined NO_PAUSE exit /b %STATUS%
setlocal EnableDelayedExpansion
set "LINE=!CMDCMDLINE!"
if not defined LINE goto close
if "!LINE:run_batch.bat=!"=="!LINE!" goto close
pause
:close
exit /b %STATUS%
