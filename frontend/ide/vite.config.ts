import { defineConfig } from 'vite';

import { workbenchInKorean } from './build/korean.js';

// The workbench's own addresses are relative to its modules: everything stays below `/static/ide/`.
export default defineConfig({
  base: './',
  plugins: [workbenchInKorean()],
  build: {
    outDir: '../dist/ide',
    emptyOutDir: true,
    assetsDir: 'assets',
    target: 'es2022',
    sourcemap: false,
    // Descriptions and texts of extensions are small and many: they come with the code (`connect-src data:`).
    assetsInlineLimit: 8192,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 20_000,
  },
  worker: { format: 'es' },
  resolve: { dedupe: ['vscode', '@codingame/monaco-vscode-api'] },
});
