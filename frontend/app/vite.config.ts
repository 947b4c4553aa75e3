import { defineConfig } from 'vite';

// Everything the pages need is beside them: relative addresses hold below `/static/` and below any stage.
export default defineConfig({
  base: './',
  build: {
    outDir: '../dist',
    emptyOutDir: false,
    assetsDir: 'assets',
    target: 'es2022',
    sourcemap: false,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  // Tests read the API document.
  server: { fs: { allow: ['../..'] } },
  test: { environment: 'happy-dom', include: ['tests/**/*.test.ts', 'tests/**/*.test.tsx'] },
} as never);
