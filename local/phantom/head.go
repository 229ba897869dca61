package main

import "math"

// Size of a slice. The field of view is 220 mm, which leaves air around a head
// of 152 mm by 202 mm; the pixel spacing is exact as a decimal string.
const (
	rows           = 256
	columns        = 256
	pixelSpacingMM = 0.859375
)

// airHU is the value outside the head. By definition air is -1000 HU and water
// is 0 HU.
const airHU = -1000

// subsamples is how many points a pixel is sampled at, in each direction. It
// gives the soft edges of a detector with a finite width.
const subsamples = 4

// Cosine and sine of 18 degrees, the tilt of the ventricles.
const (
	cos18 = 0.951056516295153572
	sin18 = 0.309016994374947424
)

// ellipsoid adds a value to every point inside it. Lengths are in millimetres
// in the patient coordinate system (PS3.3 §C.7.6.2.1.1): x grows to the
// patient's left, y to the back, z to the head.
type ellipsoid struct {
	x, y, z  float64 // centre
	a, b, c  float64 // half axes along x, y, z before the tilt
	cos, sin float64 // tilt about z; a positive sine leans the front to the left
	addHU    int     // added to what the point already has
}

// head follows the ellipsoids of Shepp and Logan (1974) in their well-known
// extension to three dimensions. Their unit length is taken as 110 mm and
// rounded to millimetres; their densities are replaced by Hounsfield units
// that a brain window shows well, and a few depths are changed so that the
// three slices differ.
var head = []ellipsoid{
	{0, 0, 0, 76, 101, 89, 1, 0, 2000},          // skull
	{0, 2, 0, 73, 96, 86, 1, 0, -965},           // brain
	{24, 0, 0, 12, 34, 34, cos18, sin18, -30},   // left ventricle
	{-24, 0, 0, 18, 45, 40, cos18, -sin18, -30}, // right ventricle
	{0, -38, -16, 23, 28, 45, 1, 0, 15},         // frontal mass
	{0, -11, 30, 5, 5, 6, 1, 0, 20},             // upper nodule, front
	{0, 11, 30, 5, 5, 6, 1, 0, 20},              // upper nodule, back
	{-9, 66, 0, 5, 3, 6, 1, 0, 20},              // occipital nodule, right
	{0, 67, 0, 3, 3, 6, 1, 0, 20},               // occipital nodule, middle
	{7, 66, 0, 3, 5, 6, 1, 0, 20},               // occipital nodule, left
}

// contains reports whether the point, in millimetres, lies in e. The
// conversions to float64 forbid the compiler to fuse a multiplication and an
// addition, which some processors would round differently (Go specification,
// "Floating-point operators").
func (e ellipsoid) contains(x, y, z float64) bool {
	dx, dy, dz := x-e.x, y-e.y, z-e.z
	u := (float64(dx*e.cos) + float64(dy*e.sin)) / e.a
	v := (float64(dy*e.cos) - float64(dx*e.sin)) / e.b
	w := dz / e.c
	return float64(u*u)+float64(v*v)+float64(w*w) <= 1
}

// valueHU returns the Hounsfield units at a point given in millimetres.
func valueHU(x, y, z float64) int {
	hu := airHU
	for _, e := range head {
		if e.contains(x, y, z) {
			hu += e.addHU
		}
	}
	return hu
}

// plane is one slice in Hounsfield units, by rows from the front of the head
// to the back, each from the patient's right to the left.
type plane [rows][columns]int

// cut returns the slice through the head at z millimetres.
func cut(z float64) *plane {
	var img plane
	for r := range rows {
		for c := range columns {
			sum := 0
			for i := range subsamples {
				y := sampleMM(r, i, rows)
				for j := range subsamples {
					sum += valueHU(sampleMM(c, j, columns), y, z)
				}
			}
			img[r][c] = int(math.Round(float64(sum) / (subsamples * subsamples)))
		}
	}
	return &img
}

// sampleMM returns where the i-th subsample of pixel p of n lies, in
// millimetres from the middle of the field of view. The value is exact: the
// spacing is a multiple of 1/64 mm.
func sampleMM(p, i, n int) float64 {
	offset := float64(2*i+1)/(2*subsamples) + float64(p) - float64(n)/2
	return offset * pixelSpacingMM
}
